import { minuteMs, secondMs } from "../../shared/durations.ts";
import { messageOf } from "../../shared/errors.ts";
import type { Logger } from "../logger.ts";
import { parseTimeValue } from "../settings/time-value.ts";
import { type BanFacts, familyOf, type JailNumbers, noBan, tagValues } from "./ban-facts.ts";
import { commandFor, type Family, fillDynamicTags } from "./fill-tags.ts";
import { addLookedUp } from "./look-up.ts";
import type { RunShell } from "./run-shell.ts";

export type CommandActionParts = Readonly<{
  jail: string;
  name: string;
  options: Readonly<Record<string, string>>;
  shell: RunShell;
  signal: AbortSignal;
  numbers: () => JailNumbers;
  now: () => number;
  log: Logger;
}>;

/** As fail2ban's own limit for commands. */
const defaultTimeoutMs = minuteMs;

/**
 * One action of one jail: which of its commands runs when, as in fail2ban. It starts with the jail or, when it treats
 * families of addresses differently, with the first ban of a family; a ban that fails leads to `actioncheck`, repair
 * or restart, and one more try. Every method is called after the one before has ended.
 */
export class CommandAction {
  readonly name: string;
  readonly #parts: CommandActionParts;
  readonly #timeoutMs: number;
  readonly #families: readonly Family[];
  readonly #onDemand: boolean;
  /** Started families, and whether they hold bans. */
  readonly #started = new Map<Family, "empty" | "holds bans">();
  /** Commands that already ran for a family: two families often share one, which then runs once. */
  readonly #ran = new Map<string, Map<Family, string>>();
  #failures = 0;
  #repairs = 0;

  constructor(parts: CommandActionParts) {
    this.name = parts.name;
    this.#parts = parts;
    const { options } = parts;
    this.#timeoutMs = timeoutOf(options.timeout);
    const conditional = Object.keys(options).some((option) => /^\w+\?family=/.test(option));
    this.#families = conditional ? ["inet4", "inet6"] : [""];
    this.#onDemand = isTrue(options.actionstart_on_demand) ?? conditional;
  }

  /** Whether bans of an earlier run are left out. */
  get noRestored(): boolean {
    return isTrue(this.#parts.options.norestored) ?? false;
  }

  /** Commands that failed so far. */
  get failures(): number {
    return this.#failures;
  }

  /** How often its environment was made anew: bans from before are gone from it. */
  get repairs(): number {
    return this.#repairs;
  }

  async start(): Promise<void> {
    if (!this.#onDemand) await this.#start(this.#families);
  }

  async ban(facts: BanFacts): Promise<void> {
    await this.#ban("actionban", facts);
  }

  /** The ban again, after its environment was lost. */
  async banAgain(facts: BanFacts): Promise<void> {
    const own = commandFor(this.#parts.options, "actionreban", familyOf(facts)) !== "";
    await this.#ban(own ? "actionreban" : "actionban", facts);
  }

  async prolong(facts: BanFacts): Promise<void> {
    await this.#process("actionprolong", facts);
  }

  async unban(facts: BanFacts): Promise<void> {
    if (this.#started.get(familyOf(facts)) === "holds bans") await this.#process("actionunban", facts);
  }

  /** Lifts all bans at once. @returns false when each must be lifted by itself */
  async flush(): Promise<boolean> {
    if (!this.#has("actionflush")) return false;
    const holding = [...this.#started].filter(([, state]) => state === "holds bans").map(([family]) => family);
    return await this.#operate("actionflush", holding, (family) => this.#started.set(family, "empty"));
  }

  async stop(): Promise<void> {
    const families = [...this.#started.keys()];
    this.#started.clear();
    await this.#operate("actionstop", families, (family) => this.#forget("actionstart", family));
  }

  #has(command: string): boolean {
    const { options } = this.#parts;
    return Object.keys(options).some((name) => name.split("?")[0] === command && options[name] !== "");
  }

  async #start(families: readonly Family[]): Promise<boolean> {
    return await this.#operate("actionstart", families, (family) => {
      this.#forget("actionstop", family);
      if (!this.#started.has(family)) this.#started.set(family, "empty");
    });
  }

  async #ban(command: string, facts: BanFacts): Promise<void> {
    const family = familyOf(facts);
    if (this.#onDemand && !this.#started.has(family) && !(await this.#start([family]))) return;
    if (await this.#process(command, facts)) this.#started.set(family, "holds bans");
  }

  /** A command of one ban; when it fails, what it needs is checked and repaired before one more try. */
  async #process(command: string, facts: BanFacts): Promise<boolean> {
    if (await this.#run(command, facts)) return true;
    if (!this.#has("actioncheck")) return false;
    const mayRepair = command !== "actionunban" || isTrue(this.#parts.options.actionrepair_on_unban) === true;
    return (await this.#isSane(familyOf(facts), mayRepair)) && (await this.#run(command, facts));
  }

  async #isSane(family: Family, mayRepair: boolean): Promise<boolean> {
    const check = () => this.#run("actioncheck", noBan(this.#parts.now()), family);
    if (await check()) return true;
    if (!mayRepair) return false;
    const { jail, log } = this.#parts;
    log.error({ jail, action: this.name, family, event: "action_repair" }, "an action lost its environment");
    this.#repairs += 1;
    if (this.#has("actionrepair")) {
      if (!(await this.#run("actionrepair", noBan(this.#parts.now()), family))) return false;
      this.#started.set(family, "empty");
      return await check();
    }
    const families = this.#started.has(family) ? [family] : [...this.#started.keys()];
    for (const each of families) this.#started.delete(each);
    await this.#operate("actionstop", families, (each) => this.#forget("actionstart", each));
    return (await this.#start(families.length > 0 ? families : [family])) && (await check());
  }

  /** Start, stop, flush: once per family, but only once where families share the command. */
  async #operate(command: string, families: readonly Family[], after: (family: Family) => void): Promise<boolean> {
    let ok = true;
    for (const family of families) {
      const text = this.#text(command, family)?.replaceAll("<family>", family);
      if (text === undefined) return false;
      const others = [...(this.#ran.get(command) ?? [])].filter(([other]) => other !== family);
      const shared = text === "" || others.some(([, ran]) => ran === text);
      const succeeded = shared || (await this.#execute(command, text, noBan(this.#parts.now()), family));
      if (succeeded) {
        after(family);
        if (text !== "") this.#ran.set(command, (this.#ran.get(command) ?? new Map()).set(family, text));
      } else this.#forget(command, family);
      ok &&= succeeded;
    }
    return ok;
  }

  /** It has to run again, also for families that share the command. */
  #forget(command: string, family: Family): void {
    const ran = this.#ran.get(command);
    const text = ran?.get(family);
    for (const [each, other] of ran ?? []) if (other === text) ran?.delete(each);
  }

  async #run(command: string, facts: BanFacts, family: Family = familyOf(facts)): Promise<boolean> {
    const text = this.#text(command, family);
    return text !== undefined && (text === "" || (await this.#execute(command, text, facts, family)));
  }

  #text(command: string, family: Family): string | undefined {
    try {
      return commandFor(this.#parts.options, command, family);
    } catch (error) {
      this.#failed(command, messageOf(error), "");
      return undefined;
    }
  }

  async #execute(command: string, text: string, facts: BanFacts, family: Family): Promise<boolean> {
    const { jail, shell, signal } = this.#parts;
    const values = tagValues(facts, jail, this.#parts.numbers()).set("family", family);
    await addLookedUp(values, text, facts.net);
    const result = await shell(fillDynamicTags(text, values, facts.data), this.#timeoutMs, signal);
    if (!result.ok) this.#failed(command, result.ending, result.output, facts.id);
    return result.ok;
  }

  #failed(command: string, ending: string, output: string, id?: string): void {
    this.#failures += 1;
    const fields = { jail: this.#parts.jail, action: this.name, command, id, ending, output };
    this.#parts.log.error({ ...fields, event: "action_failed" }, "a command of an action failed");
  }
}

function timeoutOf(text: string | undefined): number {
  const seconds = text === undefined ? 0 : parseTimeValue(text, "timeout");
  return seconds > 0 ? seconds * secondMs : defaultTimeoutMs;
}

function isTrue(text: string | undefined): boolean | undefined {
  return text === undefined ? undefined : /^(?:1|on|true|yes)$/i.test(text.trim());
}
