import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";

/** The sentence to skip with when the installed fail2ban cannot be asked; undefined when it can. */
export function oracleMissing(): string | undefined {
  try {
    execFileSync("fail2ban-client", ["--version"], { stdio: "ignore" });
    execFileSync("python3", ["--version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "fail2ban-client is not installed, so there is nothing to compare with";
  }
}

/** What fail2ban would tell its server about one jail. */
export type Dump = {
  values: Map<string, string>;
  failregex: string[];
  ignoreregex: string[];
  journalmatch: string[][];
  ignoreip: string[];
  logpath: string[];
  actions: Map<string, Map<string, string>>;
  error?: string;
};

const Command = z.array(z.unknown());
const literals = `import ast, json, sys
for line in sys.stdin:
    if line.startswith("["): print(json.dumps(ast.literal_eval(line)))`;

/** Asks the installed fail2ban what it makes of a configuration; its server is not involved. */
export function dumpOf(dir: string): Map<string, Dump> {
  const dump = execFileSync("fail2ban-client", ["-c", dir, "-d"], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const json = execFileSync("python3", ["-c", literals], { input: dump, encoding: "utf8", maxBuffer: 1 << 26 });
  return takeAll(json.split("\n").flatMap((line) => (line === "" ? [] : [Command.parse(JSON.parse(line))])));
}

/** The jails of a stream of commands. */
export function takeAll(commands: readonly (readonly unknown[])[]): Map<string, Dump> {
  const jails = new Map<string, Dump>();
  for (const command of commands) take(jails, command);
  return jails;
}

function take(jails: Map<string, Dump>, command: readonly unknown[]): void {
  const [verb, jail, what, ...rest] = command;
  if (verb === "config-error") {
    const name = /^Jail '([^']+)'/.exec(String(jail))?.[1] ?? "";
    jails.set(name, { ...emptyDump(), error: String(jail) });
    return;
  }
  if (verb === "add") jails.set(String(jail), emptyDump());
  const dump = jails.get(String(jail));
  if (dump === undefined || (verb !== "set" && verb !== "multi-set")) return;
  const list = Array.isArray(rest[0]) ? rest[0].map(String) : rest.map(String);
  if (what === "addfailregex") dump.failregex.push(...list);
  else if (what === "addignoreregex") dump.ignoreregex.push(...list);
  else if (what === "addjournalmatch") dump.journalmatch.push(list);
  else if (what === "addignoreip") dump.ignoreip.push(...list);
  else if (what === "addlogpath") dump.logpath.push(list.join(" "));
  else if (what === "addaction") dump.actions.set(list[0] ?? "", new Map());
  else if (what === "action") takeAction(dump, verb === "set" ? [rest.slice(1)] : rest[1], String(rest[0]));
  else dump.values.set(String(what), list[0] ?? "");
}

function takeAction(dump: Dump, pairs: unknown, name: string): void {
  for (const [option, value] of z.array(z.tuple([z.string(), z.unknown()])).parse(pairs)) {
    dump.actions.get(name)?.set(option, String(value));
  }
}

function emptyDump(): Dump {
  return {
    values: new Map(),
    failregex: [],
    ignoreregex: [],
    journalmatch: [],
    ignoreip: [],
    logpath: [],
    actions: new Map(),
  };
}

/** A configuration directory that lasts as long as the test uses it. `DIR` in a file's text is the directory. */
export function configDir(files: Readonly<Record<string, string>>): Disposable & { dir: string } {
  const dir = mkdtempSync(join(tmpdir(), "fleet2ban-settings-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text.replaceAll("DIR", dir));
  }
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
}
