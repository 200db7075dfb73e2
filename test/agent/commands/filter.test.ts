import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { type AgentFolder, openAgentFolder } from "./command-support.ts";

const door = {
  "filter.d/door.conf":
    "[Definition]\nfailregex = ^<prefix>door refused <HOST>(?: as <F-USER>\\S+</F-USER>)?$\nignoreregex = 198\\.51\\.100\nprefix = <prefix_<logtype>>\nprefix_file = \\s*\nprefix_journal = (?:host )?\n",
};
const now = 1_124_013_600;
const at = ["--now", String(now)];

const log = (agent: AgentFolder, ...lines: string[]) =>
  agent.write("door.log", lines.map((line) => `${line}\n`).join(""));

test("prints each failure with its line, and the sums at last", async () => {
  using agent = openAgentFolder(door);
  const file = log(
    agent,
    "# a comment",
    "",
    "2005-08-14 09:00:00 door refused 192.0.2.1 as root",
    "2005-08-14 09:00:01 hello",
    "2005-08-14 09:00:02 door refused 2001:DB8:0::1",
    "2005-08-14 09:00:03 door refused 198.51.100.1",
  );
  assert.deepEqual(await agent.json("filter", file, "door", ...at), [
    { line: 3, id: "192.0.2.1", ip: "192.0.2.1", time: now + 3600 * -1, user: "root" },
    { line: 5, id: "2001:db8::1", ip: "2001:db8::1", time: now - 3598, user: null },
    { lines: 4, matched: 2, ignored: 1, missed: 1 },
  ]);
});

test("- is standard input, whose last line needs no newline", async () => {
  using agent = openAgentFolder(door);
  const args = ["--disable-warning=ExperimentalWarning", "agent/main.ts", "filter", "-", "door", "--json", ...at];
  const child = spawn(process.execPath, [...args, "--config", agent.config], { env: { ...process.env, TZ: "UTC" } });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stdin.end("2005-08-14 09:00:00 door refused 192.0.2.1\n2005-08-14 09:00:00 door refused 192.0.2.2");
  assert.deepEqual(await once(child, "close"), [0, null]);
  assert.match(output, /"line":2,"id":"192\.0\.2\.2"/);
});

test("in a file a last line without its newline is still being written", async () => {
  using agent = openAgentFolder(door);
  const file = agent.write("door.log", "2005-08-14 09:00:00 door refused 192.0.2.1");
  assert.deepEqual(await agent.json("filter", file, "door", ...at), [{ lines: 0, matched: 0, ignored: 0, missed: 0 }]);
});

test("journal lines carry no date and happen now", async () => {
  using agent = openAgentFolder(door);
  const file = log(agent, "host door refused 192.0.2.1");
  const [row] = await agent.json("filter", file, "door[logtype=journal]", ...at);
  assert.deepEqual(row, { line: 1, id: "192.0.2.1", ip: "192.0.2.1", time: now, user: null });
});

for (const [zone, seconds] of [
  ["UTC+0200", 7 * 3600],
  ["CET", 8 * 3600],
  ["Europe/Berlin", 7 * 3600],
  ["UTC", 9 * 3600],
] as const) {
  test(`--timezone ${zone} reads dates without a zone as of there`, async () => {
    using agent = openAgentFolder(door);
    const file = log(agent, "2005-08-14 09:00:00 door refused 192.0.2.1");
    const [row] = await agent.json("filter", file, "door", ...at, "--timezone", zone);
    assert.deepEqual(row, { line: 1, id: "192.0.2.1", ip: "192.0.2.1", time: 1_123_977_600 + seconds, user: null });
  });
}

test("--usedns decides what a host name is", async () => {
  using agent = openAgentFolder(door);
  const file = log(agent, "2005-08-14 09:00:00 door refused name.example");
  const ids = async (mode: string) =>
    (await agent.json("filter", file, "door", ...at, "--usedns", mode))
      .slice(0, -1)
      .map((row) => (row as { id: string }).id);
  assert.deepEqual(await ids("no"), []);
  assert.deepEqual(await ids("raw"), ["name.example"]);
});

test("dates count as they stand, with --no-findtime and without", async () => {
  using agent = openAgentFolder(door);
  const file = log(agent, "2001-01-01 00:00:00 door refused 192.0.2.1", "2031-01-01 00:00:00 door refused 192.0.2.2");
  const times = [978_307_200, 1_924_992_000];
  for (const more of [[], ["--no-findtime"]]) {
    const rows = await agent.json("filter", file, "door", ...at, ...more);
    assert.deepEqual(
      rows.slice(0, -1).map((row) => (row as { time: number }).time),
      times,
    );
  }
});

test("the operator's own files come over the shipped ones", async () => {
  using agent = openAgentFolder(door);
  agent.write("overlay/filter.d/door.local", "[Definition]\nfailregex = ^\\s*window refused <HOST>$\n");
  const file = log(agent, "2005-08-14 09:00:00 window refused 192.0.2.1");
  assert.equal((await agent.json("filter", file, "door", ...at)).length, 2);
});

for (const [what, args, code, sentence] of [
  ["a log that is not there", ["filter", "/nonexistent/x.log", "door"], 69, /x\.log: cannot be read/],
  ["a log that is a folder", ["filter", "/", "door"], 69, /cannot be read/],
  ["a filter that is not there", ["filter", "-", "nothing"], 78, /there is no filter .*nothing\.conf/],
  ["a reference that does not parse", ["filter", "-", 'door[a="b"c]'], 78, /write name/],
  ["a time that is none", ["filter", "-", "door", "--now", "soon"], 64, /--now: "soon"/],
  ["a zone that is none", ["filter", "-", "door", "--timezone", "Mars/Base"], 64, /--timezone: "Mars\/Base"/],
  ["a way of names that is none", ["filter", "-", "door", "--usedns", "maybe"], 64, /--usedns: must be one of/],
  ["too few words", ["filter", "-"], 64, /usage: /],
  ["an option that is none", ["filter", "-", "door", "--verbose"], 64, /--verbose/],
] as const) {
  test(`${what} ends with ${code} and a sentence`, async () => {
    using agent = openAgentFolder(door);
    const result = await agent.run(...args);
    assert.equal(result.code, code);
    assert.match(result.stderr, sentence);
    assert.doesNotMatch(result.stderr, /\n\s+at /);
  });
}

test("a reader that goes away early is no failure", async () => {
  using agent = openAgentFolder(door);
  const file = log(agent, ...Array.from({ length: 20_000 }, () => "2005-08-14 09:00:00 door refused 192.0.2.1"));
  const words = [
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    "agent/main.ts",
    "filter",
    file,
    "door",
    "--config",
    agent.config,
  ];
  const shell = spawn("/bin/sh", ["-c", `${words.map((word) => `'${word}'`).join(" ")} --json | head -1`]);
  let errors = "";
  shell.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  await once(shell, "close");
  assert.equal(errors, "");
});
