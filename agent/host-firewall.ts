import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../shared/errors.ts";
import type { AgentConfig } from "./config.ts";
import { detectFirewall } from "./firewall/detect.ts";
import { Enforcer } from "./firewall/enforcer.ts";
import { lockFirewall } from "./firewall/firewall-lock.ts";
import { findManagers } from "./firewall/managers.ts";
import { SshSessions } from "./firewall/ssh-sessions.ts";
import { takeOut } from "./firewall/take-out.ts";
import type { Logger } from "./logger.ts";
import { monotonicMs } from "./monotonic.ts";
import { HostProtection } from "./protected.ts";

export type HostFirewallOptions = Readonly<{
  now: () => number;
  log: Logger;
  /** Of the coordinator's bus: never banned. */
  busUrls: readonly string[];
  /** See `EnforcerParts`. */
  reach?: () => Promise<boolean>;
}>;

export type HostFirewall = AsyncDisposable &
  Readonly<{
    enforcer: Enforcer;
    /** Why this firewall and not another. */
    reasons: readonly string[];
    /** What this firewall does worse than the best. */
    warnings: readonly string[];
    /** Others that change this host's firewall. */
    beside: readonly string[];
    /** Reads anew what this host must not cut itself off from; `mayAsk`: names too. */
    protect(mayAsk: boolean): Promise<void>;
    /** Takes our bans out of the firewall that was in use before this one. To be called when this one is in force. */
    leaveOthers(): Promise<void>;
    /** What is not as it should be, in sentences. */
    problems(): readonly string[];
  }>;

/**
 * Chooses this host's firewall and holds it for this process. Nothing is written before `enforcer.open`, and closing
 * leaves the bans in force.
 *
 * @throws Fleet2banError `unavailable` when another agent holds it, or the firewall that is named does not work
 */
export async function openHostFirewall(config: AgentConfig, options: HostFirewallOptions): Promise<HostFirewall> {
  const { now, log, busUrls, reach } = options;
  await using opened = new AsyncDisposableStack();
  const print = (script: string) => log.info({ script, event: "observed" }, "would change the firewall");
  const { backend, reasons } = await detectFirewall(config.firewall, { now, print });
  if (backend.enforcing) opened.use(lockFirewall(log));
  const enforcer = new Enforcer({
    ...{ backend, verdict: config.verdict, log, upMs: monotonicMs },
    ...(reach === undefined ? {} : { reach }),
  });
  opened.defer(() => enforcer.close());
  const sessions = new SshSessions();
  const protection = new HostProtection(config, busUrls, sessions);
  const protect = async (mayAsk: boolean) => enforcer.protect(await protection.read(mayAsk));
  // Without asking for names: while the host boots there may be no network to ask.
  await protect(false);
  const others = new OtherFirewalls(config.stateDir, enforcer.name, now, log);
  const beside = await findManagers();
  const closing = opened.move();
  return {
    ...{ enforcer, reasons, warnings: backend.warnings, beside, protect },
    leaveOthers: () => others.leave(),
    problems: () =>
      [...enforcerProblems(enforcer), sessions.problem, others.problem].filter((each) => each !== undefined),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

function enforcerProblems({ state, enforcing }: Enforcer): string[] {
  const problems = [];
  if (state.kind === "healing") problems.push(`firewall: is being written anew: ${state.problem}`);
  if (state.refused > 0) {
    const [sample] = state.refusedSample;
    const example = sample === undefined ? "" : `, for example ${sample.net}: ${sample.reason}`;
    problems.push(`firewall: refuses ${state.refused} bans${example}`);
  }
  if (!enforcing) problems.push("firewall: only observing, no packet is stopped");
  return problems;
}

/**
 * An operator who names another firewall leaves our bans in the old one, where no unban reaches them. Which one was in
 * use is written down, because looking into all of them takes a second at each start.
 */
class OtherFirewalls {
  readonly #file: string;
  readonly #name: string;
  readonly #now: () => number;
  readonly #log: Logger;
  #problem: string | undefined;

  constructor(stateDir: string, name: string, now: () => number, log: Logger) {
    this.#file = join(stateDir, "firewall");
    this.#name = name;
    this.#now = now;
    this.#log = log;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  async leave(): Promise<void> {
    const before = this.#before();
    if (before === this.#name) return;
    try {
      const left = before === undefined ? [] : await takeOut({ now: this.#now, except: this.#name });
      if (left.length > 0) this.#log.warn({ left, event: "firewall_left" }, "took our bans out of another firewall");
      writeFileSync(this.#file, this.#name, { mode: 0o600 });
    } catch (error) {
      this.#problem = `firewall: bans of ours may be left in another firewall, where nothing lifts them (${messageOf(error)}); run \`fleet2ban-agent uninstall\` as root`;
      this.#log.error({ problem: messageOf(error), event: "firewall_not_left" }, "could not leave the firewall before");
    }
  }

  #before(): string | undefined {
    try {
      return readFileSync(this.#file, "utf8");
    } catch {
      return undefined;
    }
  }
}
