import type { BanFacts } from "../../../agent/actions/ban-facts.ts";
import { CommandAction } from "../../../agent/actions/command-action.ts";
import type { RunShell } from "../../../agent/actions/run-shell.ts";
import type { Logger } from "../../../agent/logger.ts";

const silent = () => undefined;
export const silentLog: Logger = { debug: silent, info: silent, warn: silent, error: silent };

export const banOf = (net: string | null, changes: Partial<BanFacts> = {}): BanFacts => ({
  id: net ?? "alice",
  net,
  failures: 3,
  atMs: 1_700_000_000_000,
  banTimeMs: 600_000,
  earlierBans: 0,
  lines: [],
  data: new Map(),
  restored: false,
  ...changes,
});

/** A shell that only notes what it was asked; commands in `failing` fail, each as often as its number says. */
export function noteShell(failing: Record<string, number> = {}) {
  const ran: string[] = [];
  const shell: RunShell = async ({ text }) => {
    ran.push(text);
    const left = failing[text] ?? 0;
    failing[text] = left - 1;
    return left > 0 ? { ok: false, ending: "exit 1", output: "" } : { ok: true, ending: "exit 0", output: "" };
  };
  return { ran, shell };
}

export function actionOf(options: Record<string, string>, shell: RunShell): CommandAction {
  const numbers = () => ({ banned: 0, bannedTotal: 0, found: 0, foundTotal: 0 });
  const { signal } = new AbortController();
  return new CommandAction({
    jail: "sshd",
    name: "mail",
    options,
    shell,
    signal,
    numbers,
    now: () => 0,
    log: silentLog,
  });
}
