import assert from "node:assert/strict";
import { cpSync, existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { JailSettings, Settings } from "../../../agent/settings/jail-settings.ts";
import { loadSettings } from "../../../agent/settings/load-settings.ts";
import { shellWords } from "../../../agent/settings/shell-words.ts";
import { parseTimeValue } from "../../../agent/settings/time-value.ts";
import { nastyConfigs } from "./nasty-configs.ts";
import { configDir, type Dump, dumpOf, oracleMissing } from "./oracle.ts";

const skip = oracleMissing() ?? (existsSync("/etc/fail2ban/jail.conf") ? false : "there is no stock configuration");
const services = new Map([["ssh", 22]]);

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
    actions: [...dump.actions.keys()].filter((name) => !name.endsWith(".py")),
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
    if (action.kind !== "command") continue;
    for (const [option, text] of dump.actions.get(action.name) ?? []) {
      // Their [Init] values keep their tags until run time; ours are replaced at once. Versions differ.
      if (/<|Fail2Ban\//.test(text) || option === "actionstart_on_demand" || option === "norestored") continue;
      assert.equal(action.options[option], text, `${jail.name}: ${action.name}: ${option}`);
    }
  }
}

function compare(settings: Settings, dumps: ReadonlyMap<string, Dump>): number {
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

test("every stock jail resolves to what fail2ban makes of it", { skip }, () => {
  const dir = mkdtempSync(join(tmpdir(), "fleet2ban-stock-"));
  try {
    cpSync("/etc/fail2ban", dir, { recursive: true });
    const actions = [
      "action_",
      "action_mwl",
      "action_xarf",
      "action_cf_mwl",
      "action_blocklist_de",
      "action_abuseipdb",
    ];
    for (const [index, action] of actions.entries()) {
      const backend = index % 2 === 0 ? "auto" : "systemd";
      // Some options only their operators can fill in.
      const keys = "cfemail = a\ncfapikey = b\nblocklist_de_apikey = c\n";
      const local = `[DEFAULT]\nenabled = true\nbackend = ${backend}\naction = %(${action})s\n${keys}`;
      writeFileSync(join(dir, "jail.local"), `${local}[sshd]\nbackend = ${backend}\n`);
      const compared = compare(loadSettings(dir, { services, hasJournal: false }), dumpOf(dir));
      assert.ok(compared > 60, `only ${compared} jails were compared`);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

for (const [rule, files] of Object.entries(nastyConfigs)) {
  test(`as fail2ban reads it: ${rule}`, { skip }, () => {
    using config = configDir({ "fail2ban.conf": "[Definition]\n", "one.log": "", "two.log": "", ...files });
    const compared = compare(loadSettings(config.dir, { services, hasJournal: false }), dumpOf(config.dir));
    assert.ok(compared > 0, "nothing was compared");
  });
}

test("words of a journalmatch are divided as a shell divides them", () => {
  assert.deepEqual(shellWords(`A=1 "B=x y" C='z "w"' D=a\\ b`), ["A=1", "B=x y", `C=z "w"`, "D=a b"]);
});
