import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { openAgentFolder } from "./command-support.ts";

const door = {
  "jail.conf":
    "[DEFAULT]\nfindtime = 10m\n[door]\nfilter = door\nlogpath = /nonexistent\nmaxretry = 3\nbantime = 10m\nignoreip = 192.0.2.7\n[broken]\nfilter = nothing\nlogpath = /x\n",
  "filter.d/door.conf": "[Definition]\nfailregex = ^\\s*door refused <HOST>$\ndatepattern = ^EPOCH\n",
};
const lines = (...failures: [seconds: number, id: string][]) =>
  failures.map(([seconds, id]) => `${1_700_000_000 + seconds} door refused ${id}\n`).join("");
const burst = (seconds: number, id: string) => lines([seconds, id], [seconds + 1, id], [seconds + 2, id]);

test("prints what the jail would have banned, on the log's own clock", async () => {
  using agent = openAgentFolder(door);
  const log = agent.write("door.log", burst(0, "192.0.2.1") + burst(700, "192.0.2.1") + burst(710, "192.0.2.7"));
  assert.deepEqual(await agent.json("replay", log, "--jail", "door"), [
    { at: 1_700_000_002, kind: "ban", id: "192.0.2.1", bantime: 600 },
    { at: 1_700_000_702, kind: "ban", id: "192.0.2.1", bantime: 600 },
  ]);
});

test("a ban for ever has bantime -1, and the operator's own files come over the shipped ones", async () => {
  using agent = openAgentFolder(door);
  agent.write("overlay/jail.local", "[door]\nbantime = -1\nmaxretry = 2\n");
  const log = agent.write("door.log", lines([0, "192.0.2.1"], [1, "192.0.2.1"]));
  const expected = { at: 1_700_000_001, kind: "ban", id: "192.0.2.1", bantime: -1 };
  assert.deepEqual(await agent.json("replay", log, "--jail", "door"), [expected]);
  const { stdout } = await agent.run("replay", log, "--jail", "door");
  assert.equal(stdout, "2023-11-14T22:13:21.000Z ban 192.0.2.1 for ever\n");
});

test("the log is read in the encoding the jail names", async () => {
  using agent = openAgentFolder(door);
  agent.write(
    "overlay/jail.local",
    "[door]\nlogencoding = latin_1\nfailregex = ^\\s*porte fermée à <HOST>$\nmaxretry = 1\n",
  );
  const log = agent.write("door.log", "");
  writeFileSync(log, Buffer.from("1700000000 porte fermée à 192.0.2.1\n", "latin1"));
  const expected = { at: 1_700_000_000, kind: "ban", id: "192.0.2.1", bantime: 600 };
  assert.deepEqual(await agent.json("replay", log, "--jail", "door"), [expected]);
});

for (const [what, args, code, sentence] of [
  ["no jail named", ["replay", "-"], 64, /--jail/],
  ["a jail that is not there", ["replay", "-", "--jail", "window"], 78, /there is no jail \[window\]/],
  ["a jail that cannot run", ["replay", "-", "--jail", "broken"], 78, /filter\.d\/nothing\.conf/],
  ["a log that is not there", ["replay", "/nonexistent/x.log", "--jail", "door"], 69, /x\.log: cannot be read/],
  ["a time that is none", ["replay", "-", "--jail", "door", "--now", "soon"], 64, /--now/],
] as const) {
  test(`${what} ends with ${code} and a sentence`, async () => {
    using agent = openAgentFolder(door);
    const result = await agent.run(...args);
    assert.equal(result.code, code);
    assert.match(result.stderr, sentence);
  });
}
