import { secondMs } from "../../shared/durations.ts";
import type { Logger } from "../logger.ts";
import type { ActionSettings } from "../settings/jail-settings.ts";
import { ActionQueue } from "./action-queue.ts";
import type { BanFacts, JailNumbers } from "./ban-facts.ts";
import { CommandAction } from "./command-action.ts";
import { type RunShell, runShell } from "./run-shell.ts";

export type JailActionsParts = Readonly<{
  jails: readonly Readonly<{
    name: string;
    actions: readonly ActionSettings[];
    numbers(): { banned: number; found: number };
  }>[];
  /** Names of the actions that may run here; none others do. */
  allowed: readonly string[];
  now: () => number;
  log: Logger;
  shell?: RunShell;
}>;

export type ActionsStatus = Readonly<{
  running: readonly string[];
  waiting: number;
  done: number;
  dropped: number;
  failed: number;
}>;

/** Of the bans an action may be asked to undo, so many keep their lines and groups; older ones keep their numbers. */
const evidenceKeptMax = 1000;
/** Within the time an agent has to end; what has not run by then is said, not waited for. */
const closeTimeoutMs = 5 * secondMs;

type Held = { facts: BanFacts; repairs: ReadonlyMap<string, number> };
type OneJail = {
  actions: readonly CommandAction[];
  /** Bans an action may be asked to undo, by id. */
  held: Map<string, Held>;
  /** Those that still have their lines, oldest first. */
  evidence: Held[];
  bannedTotal: number;
  foundTotal: number;
};

/**
 * What jails do beyond the firewall: mails, reports, an operator's own scripts. Off unless agent.yaml names the action,
 * because whoever can write a jail's configuration could otherwise run programs through it.
 *
 * A ban's commands get the final ban time, so `actionprolong` only follows when a standing ban is extended.
 */
export class JailActions implements AsyncDisposable {
  readonly problems: readonly string[];
  readonly #jails = new Map<string, OneJail>();
  readonly #queue: ActionQueue;
  readonly #parts: JailActionsParts;
  readonly #abort = new AbortController();

  constructor(parts: JailActionsParts) {
    this.#parts = parts;
    this.#queue = new ActionQueue(parts.log);
    const problems: string[] = [];
    for (const jail of parts.jails) {
      const actions: CommandAction[] = [];
      for (const action of jail.actions) {
        if (action.kind === "firewall") continue;
        if (parts.allowed.includes(action.name)) actions.push(this.#open(jail.name, action, jail.numbers));
        else
          problems.push(`jail ${jail.name}: action ${action.name} does not run here; name it in agent.yaml, actions`);
      }
      if (actions.length > 0)
        this.#jails.set(jail.name, { actions, held: new Map(), evidence: [], bannedTotal: 0, foundTotal: 0 });
    }
    this.problems = problems;
  }

  get status(): ActionsStatus {
    const running = [...this.#jails].flatMap(([jail, { actions }]) => actions.map(({ name }) => `${jail}/${name}`));
    const all = [...this.#jails.values()].flatMap(({ actions }) => actions);
    return { running, ...this.#queue.counts, failed: all.reduce((sum, { failures }) => sum + failures, 0) };
  }

  start(): void {
    for (const { actions } of this.#jails.values()) {
      for (const action of actions) this.#queue.push(() => action.start(), true);
    }
  }

  counted(jailName: string): void {
    const jail = this.#jails.get(jailName);
    if (jail !== undefined) jail.foundTotal += 1;
  }

  ban(jailName: string, facts: BanFacts): void {
    const jail = this.#jails.get(jailName);
    if (jail === undefined) return;
    jail.bannedTotal += 1;
    const held = this.#hold(jail, facts);
    for (const action of jail.actions) {
      if (facts.restored && action.noRestored) continue;
      this.#queue.push(async () => {
        await action.ban(facts);
        held.repairs = new Map(held.repairs).set(action.name, action.repairs);
      });
    }
  }

  /** The id failed again although it is banned: where an action's environment was lost meanwhile, it is banned anew. */
  failedAgain(jailName: string, id: string): void {
    const jail = this.#jails.get(jailName);
    const held = jail?.held.get(id);
    if (jail === undefined || held === undefined) return;
    for (const action of jail.actions) {
      if (action.repairs <= (held.repairs.get(action.name) ?? action.repairs)) continue;
      held.repairs = new Map(held.repairs).set(action.name, action.repairs);
      this.#queue.push(() => action.banAgain(held.facts));
    }
  }

  prolong(jailName: string, id: string, banTimeMs: number | null): void {
    const jail = this.#jails.get(jailName);
    const held = jail?.held.get(id);
    if (jail === undefined || held === undefined) return;
    const facts = { ...held.facts, banTimeMs };
    held.facts = facts;
    for (const action of jail.actions) {
      if (facts.restored && action.noRestored) continue;
      this.#queue.push(() => action.prolong(facts));
    }
  }

  unban(jailName: string, id: string): void {
    const jail = this.#jails.get(jailName);
    const held = jail?.held.get(id);
    if (jail === undefined || held === undefined) return;
    jail.held.delete(id);
    for (const action of jail.actions) this.#queue.push(() => action.unban(held.facts), true);
  }

  /** When every command so far has run. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  /** As fail2ban stops: bans are flushed or lifted one by one, for at the next start they are made again. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const jail of this.#jails.values()) {
      for (const action of jail.actions) {
        this.#queue.push(async () => {
          if (await action.flush()) return;
          for (const { facts } of jail.held.values()) {
            if (this.#abort.signal.aborted) return;
            await action.unban(facts);
          }
        }, true);
        this.#queue.push(() => action.stop(), true);
      }
    }
    const timer = setTimeout(() => {
      const left = this.#queue.clear();
      this.#parts.log.warn({ left, event: "actions_cut_short" }, "actions were still at work when the agent ended");
      this.#abort.abort();
    }, closeTimeoutMs);
    await this.#queue.idle();
    clearTimeout(timer);
  }

  #open(
    jail: string,
    action: Extract<ActionSettings, { kind: "command" }>,
    numbers: () => { banned: number; found: number },
  ) {
    const totals = (): JailNumbers => {
      const { bannedTotal = 0, foundTotal = 0 } = this.#jails.get(jail) ?? {};
      return { ...numbers(), bannedTotal, foundTotal };
    };
    const { now, log, shell = runShell } = this.#parts;
    return new CommandAction({ jail, ...action, shell, signal: this.#abort.signal, numbers: totals, now, log });
  }

  #hold(jail: OneJail, facts: BanFacts): Held {
    const held: Held = { facts, repairs: new Map() };
    jail.held.delete(facts.id);
    jail.held.set(facts.id, held);
    jail.evidence.push(held);
    const oldest = jail.evidence.length > evidenceKeptMax ? jail.evidence.shift() : undefined;
    if (oldest !== undefined) oldest.facts = { ...oldest.facts, lines: [], data: new Map() };
    return held;
  }
}
