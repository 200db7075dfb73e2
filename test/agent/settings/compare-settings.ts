import assert from "node:assert/strict";
import { globSync } from "node:fs";
import type { JailSettings, Settings } from "../../../agent/settings/jail-settings.ts";
import { parsePorts } from "../../../agent/settings/service-ports.ts";
import { parseNumber, parseTimeValue } from "../../../agent/settings/time-value.ts";
import type { Dump } from "./oracle.ts";

/** The only service that the tests' ports name. */
export const services = new Map([["ssh", 22]]);

/** What both sides say, in one shape. */
function ours(jail: JailSettings) {
  return {
    failregex: [...jail.filter.failRegex],
    ignoreregex: [...jail.filter.ignoreRegex],
    prefregex: jail.filter.prefRegex,
    datepattern: jail.filter.datePattern,
    maxlines: jail.filter.maxLines,
    usedns: jail.useDns,
    journalmatch: jail.journalMatches.map((terms) => [...terms]),
    maxretry: jail.maxRetry,
    maxmatches: jail.maxMatches,
    findtime: jail.findTimeMs / 1000,
    bantime: jail.banTimeMs === null ? -1 : jail.banTimeMs / 1000,
    ignoreip: [...jail.ignoreIp],
    ignorecommand: jail.ignoreCommand,
    logencoding: jail.logEncoding,
    logtimezone: jail.logTimezone,
    logpath: jail.logPaths.flatMap((path) =>
      globSync(path.glob)
        .toSorted()
        .map((file) => `${file} ${path.start}`),
    ),
    ignoreself: jail.ignoreSelf,
    ignorecache: jail.ignoreCache,
    increment: jail.increment,
    actions: jail.actions.map((action) => action.name),
  };
}

/** Our own default, by intent; fail2ban's is `warn`. */
const usednsDefault = "no";

function theirs(dump: Dump): ReturnType<typeof ours> {
  const value = (option: string) => dump.values.get(option) || null;
  const seconds = (option: string) => Math.trunc(parseTimeValue(value(option) ?? "600", option));
  return {
    failregex: dump.failregex,
    ignoreregex: dump.ignoreregex,
    prefregex: value("prefregex"),
    datepattern: value("datepattern"),
    maxlines: Number(value("maxlines") ?? 1),
    usedns: (value("usedns") ?? usednsDefault) as JailSettings["useDns"],
    journalmatch: dump.journalmatch.flatMap(alternatives),
    maxretry: Number(value("maxretry") ?? 3),
    maxmatches: Number(value("maxmatches") ?? 5),
    findtime: seconds("findtime"),
    bantime: seconds("bantime") < 0 ? -1 : seconds("bantime"),
    ignoreip: dump.ignoreip,
    ignorecommand: value("ignorecommand"),
    logencoding: value("logencoding") ?? "auto",
    logtimezone: value("logtimezone"),
    logpath: dump.logpath.toSorted(),
    ignoreself: value("ignoreself") !== "false",
    ignorecache: ignoreCache(value("ignorecache")),
    increment: value("bantime.increment") === "true" ? increment(value) : null,
    actions: [...dump.actions.keys()].filter((name) => !name.endsWith(".py")),
  };
}

function increment(value: (option: string) => string | null): JailSettings["increment"] {
  const number = (text: string | null) => (text === null ? null : parseNumber(text, "bantime.factor"));
  const ms = (text: string | null) => (text === null ? null : Math.trunc(parseTimeValue(text, "a time")) * 1000);
  return {
    factor: number(value("bantime.factor")),
    formula: value("bantime.formula"),
    multipliers: value("bantime.multipliers")?.split(/\s+/).map(Number) ?? null,
    maxTimeMs: ms(value("bantime.maxtime")),
    randomMs: ms(value("bantime.rndtime")) ?? 0,
    overAllJails: value("bantime.overalljails") === "true",
  };
}

/** The only form that the tests write: `key="…", max-count=…, max-time=…`. */
function ignoreCache(text: string | null): JailSettings["ignoreCache"] {
  if (text === null) return null;
  const given = (option: string) => new RegExp(`${option}="?([^",]+)`).exec(text)?.[1];
  return {
    key: given("key") ?? "",
    countMax: Number(given("max-count") ?? 100),
    timeMs: parseTimeValue(given("max-time") ?? "5m", "max-time") * 1000,
  };
}

function alternatives(terms: readonly string[]): string[][] {
  const groups: string[][] = [[]];
  for (const term of terms) {
    if (term === "+") groups.push([]);
    else groups.at(-1)?.push(term);
  }
  return groups;
}

/** Options of command actions: what both name must say the same. */
function compareActions(jail: JailSettings, dump: Dump): void {
  for (const action of jail.actions) {
    if (action.kind === "firewall") {
      const port = dump.actions.get(action.name)?.get("port");
      if (port === undefined || action.ports === null || port.includes("<")) continue;
      assert.deepEqual(action.ports, parsePorts(port, services).ports, `${jail.name}: ${action.name}: port ${port}`);
      continue;
    }
    for (const [option, text] of dump.actions.get(action.name) ?? []) {
      // Their [Init] values keep their tags until run time; ours are replaced at once. Versions differ.
      if (/<|Fail2Ban\//.test(text) || option === "actionstart_on_demand" || option === "norestored") continue;
      assert.equal(action.options[option], text, `${jail.name}: ${action.name}: ${option}`);
    }
  }
}

/** Fails unless both make the same jails of a configuration; says how many were compared. */
export function compare(settings: Settings, dumps: ReadonlyMap<string, Dump>): number {
  for (const [name, dump] of dumps) {
    const jail = settings.jails.find((each) => each.name === name);
    const broken = settings.broken.find((each) => each.name === name);
    if (dump.error !== undefined || dump.failregex.length === 0) {
      assert.ok(broken, `${name} must be broken: ${dump.error ?? "no failregex"}`);
      continue;
    }
    assert.ok(jail, `${name} must load, but: ${broken?.problem ?? "it is missing"}`);
    assert.deepEqual({ ...ours(jail), logpath: ours(jail).logpath.toSorted() }, theirs(dump), name);
    compareActions(jail, dump);
  }
  assert.equal(settings.jails.length + settings.broken.length, dumps.size);
  return dumps.size;
}
