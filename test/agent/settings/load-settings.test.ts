import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { explainSettings, settingsAsJson } from "../../../agent/settings/explain-settings.ts";
import { builtInConfigDir, defaultConfigDir, loadFilter, loadSettings } from "../../../agent/settings/load-settings.ts";
import { filter, load, loadOne, services } from "./load-support.ts";
import { configDir } from "./oracle.ts";

test("what a jail does not say is as fail2ban's engine has it, but no name is resolved", () => {
  const { filter: read, warnings, ...jail } = loadOne("");
  assert.deepEqual(read, {
    name: "f",
    prefRegex: null,
    failRegex: ["^bad <HOST>$"],
    ignoreRegex: [],
    datePattern: null,
    maxLines: 1,
    dateless: false,
  });
  assert.deepEqual(jail, {
    name: "a",
    source: "file",
    logPaths: [{ glob: "/nowhere/x.log", start: "head" }],
    journalMatches: [],
    journal: null,
    logEncoding: "auto",
    logTimezone: null,
    maxRetry: 3,
    maxMatches: 5,
    findTimeMs: 600_000,
    banTimeMs: 600_000,
    increment: null,
    ignoreSelf: true,
    ignoreIp: [],
    ignoreCommand: null,
    ignoreCache: null,
    useDns: "no",
    actions: [],
  });
  assert.match(warnings.join(), /nothing stops the banned/);
});

test("a ban of minus one lasts for ever", () => {
  assert.equal(loadOne("bantime = -1\n").banTimeMs, null);
});

test("growing bans keep all that shapes them", () => {
  const family =
    "bantime.increment = true\nbantime.factor = 2*1.5\nbantime.multipliers = 1 24 168 720\nbantime.maxtime = 5w\nbantime.rndtime = 2m\nbantime.overalljails = yes\nbantime.formula = ban.Time * 2\n";
  assert.deepEqual(loadOne(family).increment, {
    factor: 3,
    formula: "ban.Time * 2",
    multipliers: [1, 24, 168, 720],
    maxTimeMs: 5 * 7 * 86_400_000,
    randomMs: 120_000,
    overAllJails: true,
  });
  assert.equal(loadOne(family.replace("true", "false")).increment, null);
});

test("an ignore cache has a key, a size and a time", () => {
  assert.deepEqual(loadOne('ignorecache = key="<F-USER>@<ip>", max-count=7, max-time=1m\n').ignoreCache, {
    key: "<F-USER>@<ip>",
    countMax: 7,
    timeMs: 60_000,
  });
});

test("a number that is none is fail2ban's default, with a warning that names the line", () => {
  const jail = loadOne("maxretry = many\n");
  assert.equal(jail.maxRetry, 3);
  assert.match(jail.warnings.join("\n"), /jail\.conf:6: \[a\] maxretry: "many" is not a number/);
});

for (const [option, problem] of [
  ["filter = nope\n", /jail\.conf:5: \[a\] filter: there is no filter .*filter\.d\/nope\.conf; add it/],
  ["filter = f[x\n", /jail\.conf:5: \[a\] filter: expected "="/],
  ["filter = f\nfindtime = soon\n", /jail\.conf:6: \[a\] findtime: "soon" is not a span/],
  ["filter = f\nbantime = 0\n", /jail\.conf:6: \[a\] bantime: .*write a span/],
  ["filter = f\naction = nope\n", /jail\.conf:6: \[a\] action: there is no action .*action\.d\/nope\.conf/],
  ["filter = f\naction = c c\n", /jail\.conf:6: \[a\] action: "c" stands twice; give one of them its own actname/],
  ["filter = f\nlogpath =\n", /jail\.conf:6: \[a\] logpath: is empty/],
  ["filter = f\nfailregex =\n", /jail\.conf:6: \[a\] failregex: neither the jail nor the filter "f"/],
  ["filter = f\nignoreip = %(nope)s\n", /jail\.conf:6: \[a\] ignoreip: refers to %\(nope\)s/],
  ["filter = loop\n", /filter\.d\/loop: option "failregex" refers to itself/],
  ["filter = torn\n", /filter\.d\/torn\.conf:2: "rubbish" has no "="/],
] as const) {
  test(`a broken jail says where and what to do, and the others run: ${option.split("\n").at(-2)}`, () => {
    const { jails, broken } = load(`[a]\n${option}[b]\nfilter = f\n`, {
      "action.d/c.conf": "[Definition]\nactionban = true\n",
      "filter.d/loop.conf": "[Definition]\nfailregex = <x>\nx = <y>\ny = <x>\n",
      "filter.d/torn.conf": "[Definition]\nrubbish\n",
    });
    assert.deepEqual(
      jails.map((jail) => jail.name),
      ["b"],
    );
    assert.deepEqual(
      broken.map((jail) => jail.name),
      ["a"],
    );
    assert.match(broken[0]?.problem ?? "", problem);
  });
}

test("a jail configuration that does not parse stops everything: no jail could be trusted", () => {
  assert.throws(() => load("[a]\nfilter = f\n", { "jail.local": "[a]\nfilter\n" }), {
    code: "invalid",
    message: /jail\.local:2: "filter" has no "="/,
  });
});

test("a file that is not UTF-8 is left out with a warning", () => {
  using config = configDir({ ...filter, "jail.conf": "[a]\nfilter = f\nenabled = true\nlogpath = /x\n" });
  writeFileSync(`${config.dir}/jail.local`, Buffer.from([0x5b, 0x61, 0x5d, 0xff]));
  const settings = loadSettings(config.dir, { services, hasJournal: false });
  assert.equal(settings.jails.length, 1);
  assert.match(settings.warnings.join(), /jail\.local: is not UTF-8/);
});

test("a directory without jails is refused by name", () => {
  using config = configDir({ "filter.d/f.conf": "" });
  assert.throws(() => loadSettings(config.dir), { code: "invalid", message: /has no jail\.conf or jail\.local/ });
});

test("a jail whose files do not exist reads the journal where there is one and the filter knows its unit", () => {
  const files = {
    "filter.d/j.conf": "[Definition]\nfailregex = ^<logtype> <HOST>$\njournalmatch = _SYSTEMD_UNIT=x.service\n",
  };
  const jail =
    "[a]\nfilter = j\n[b]\nfilter = f\n[c]\nfilter = j\nbackend = polling\n[d]\nfilter = j\nsystemd_if_nologs = no\n";
  const { jails } = load(jail, files, { hasJournal: true });
  assert.deepEqual(
    jails.map(({ source }) => source),
    ["journal", "file", "file", "file"],
  );
  assert.deepEqual(jails[0]?.filter.failRegex, ["^journal <HOST>$"]);
  assert.equal(jails[0]?.filter.dateless, true);
  assert.match(jails[0]?.warnings[0] ?? "", /no such file here; the jail reads the journal instead/);
  assert.deepEqual(
    load(jail, files, { hasJournal: false }).jails.map(({ source }) => source),
    ["file", "file", "file", "file"],
  );
});

test("the system's own configuration goes before the built-in one", () => {
  using config = configDir({ "jail.local": "" });
  assert.equal(defaultConfigDir(config.dir), config.dir);
  assert.equal(defaultConfigDir("/nonexistent"), builtInConfigDir());
});

test("one jail can be asked for although it is off, and a missing one is named", () => {
  const off = { "jail.conf": "[a]\nfilter = f\nlogpath = /x\n[b]\nenabled = yes\nfilter = f\nlogpath = /x\n" };
  assert.deepEqual(
    load("", off, { jail: "a" }).jails.map((jail) => jail.name),
    ["a"],
  );
  assert.deepEqual(
    load("", off, { enable: ["a"] }).jails.map((jail) => jail.name),
    ["a", "b"],
  );
  assert.throws(() => load("", off, { jail: "nope" }), /there is no jail \[nope\]/);
});

test("an operator's directory is laid over a shipped one", () => {
  using own = configDir({
    "jail.local": "[a]\nenabled = true\nmaxretry = 9\n",
    "filter.d/f.local": "[Definition]\nfailregex = ^own <HOST>$\n",
  });
  const shipped = { "jail.conf": "[a]\nfilter = f\nlogpath = /x\nmaxretry = 5\n" };
  const [jail] = load("", shipped, { overlayDir: own.dir }).jails;
  assert.equal(loadSettings(own.dir, { overlayDir: "/nonexistent" }).broken.length, 1);
  assert.deepEqual([jail?.maxRetry, jail?.filter.failRegex], [9, ["^own <HOST>$"]]);
});

for (const [regex, warning] of [
  ["bad <HOST>$", /failregex 1: not anchored at the start/],
  ["^bad <HOST>", /failregex 1: not anchored at the end/],
  ["^bad .* <HOST> .*$", /failregex 1: a catch-all .* before the address and an open end/],
  ["^bad .+ from <HOST>", /failregex 1: a catch-all/],
  ["^<rules-nope>$", /failregex 1: nothing defines <rules-nope>/],
] as const) {
  test(`a pattern an attacker could bend is warned of: ${regex}`, () => {
    assert.match(loadOne(`failregex = ${regex}\n`).warnings.join("\n"), warning);
  });
}

for (const regex of ["^bad <HOST>$", "^user .* from <HOST> port \\d+$", "(?i)^bad <HOST> .*$", "^[.*] \\.* <HOST>$"]) {
  test(`a sound pattern is not warned of: ${regex}`, () => {
    assert.doesNotMatch(loadOne(`failregex = ${regex}\n`).warnings.join("\n"), /failregex/);
  });
}

test("a filter is read without a jail, with the options of its reference", () => {
  using config = configDir({
    "filter.d/f.conf": "[Definition]\nfailregex = ^<m> <logtype> <HOST>$\n[Init]\nm = one\n",
  });
  assert.deepEqual(loadFilter(config.dir, "f[m=two]").failRegex, ["^two file <HOST>$"]);
  const journal = loadFilter(config.dir, "f[logtype=journal]");
  assert.deepEqual([journal.failRegex, journal.dateless], [["^one journal <HOST>$"], true]);
  assert.throws(() => loadFilter(config.dir, "g"), /there is no filter/);
});

test("people and programs are told of every jail, broken or not", () => {
  const settings = load("[a]\nfilter = f\nport = ssh\naction = nftables[port=ssh]\n[b]\nfilter = nope\n");
  const text = explainSettings(settings);
  assert.match(
    text,
    /^jail a\n {2}filter {3}f, 1 pattern\n {2}reads {4}\/nowhere\/x\.log\n {2}bans {5}3 failures within 10m, for 10m\n {2}through {2}the firewall \(nftables\), port 22\n/,
  );
  assert.match(text, /jail b: DOES NOT RUN\n {2}.*there is no filter/);
  assert.match(text, /1 jail runs, 1 broken\n$/);
  const values = settingsAsJson(settings);
  assert.deepEqual(
    values.map((value) => value.kind),
    ["jail", "broken", "summary"],
  );
  assert.deepEqual(values.at(-1), { kind: "summary", jails: 1, broken: 1, ok: false });
});

test("an encoding is known by Python's names too; one that is not is said to be read as UTF-8", () => {
  for (const name of ["auto", "latin_1", "iso8859_15", "UTF_8", "koi8_r"]) {
    assert.doesNotMatch(loadOne(`logencoding = ${name}\n`).warnings.join(), /logencoding/, name);
  }
  for (const name of ["cp850", "utf-16"]) {
    const [warning = ""] = loadOne(`logencoding = ${name}\n`).warnings.filter((each) => each.includes("logencoding"));
    assert.match(warning, new RegExp(`"${name}" is not known here; lines are read as UTF-8`));
  }
});

test("a backend that fail2ban does not have is refused by name", () => {
  for (const name of ["auto", "Polling", "pyinotify", "gamin"]) loadOne(`backend = ${name}\n`);
  assert.match(
    load("[a]\nfilter = f\nbackend = inotify\n").broken[0]?.problem ?? "",
    /backend: "inotify" is none of auto,/,
  );
});
