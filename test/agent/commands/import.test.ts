import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openStore } from "../../../agent/store/open-store.ts";
import { openFail2banServer, withoutFail2banServer } from "../../support/fail2ban-server.ts";
import { startProgram } from "../../support/program.ts";
import { waitFor } from "../../support/wait-for.ts";
import { silentLog } from "../actions/action-support.ts";
import { openAgentFolder } from "./command-support.ts";

const door = (log: string) => ({
  "jail.conf": `[door]\nenabled = true\nbackend = polling\nfilter = door\nlogpath = ${log}\nmaxretry = 2\nfindtime = 1h\nbantime = 2h\nignoreself = false\naction = record\n`,
  "filter.d/door.conf": "[Definition]\nfailregex = ^\\s*door refused <ADDR>$\ndatepattern = ^EPOCH\n",
  "action.d/record.conf": "[Definition]\nactionban = echo <ip>\n",
});

test("a host moves from fail2ban to the agent with its bans, histories and places", {
  skip: withoutFail2banServer,
}, async () => {
  using agent = openAgentFolder();
  const seconds = Math.floor(Date.now() / 1000) - 20;
  const failures = (address: string, from: number) =>
    [0, 1].map((more) => `${from + more} door refused ${address}\n`).join("");
  const log = agent.write("door.log", failures("192.0.2.1", seconds) + failures("2001:db8::1", seconds + 2));
  let database = "";
  {
    await using server = await openFail2banServer(join(agent.folder, "server"), door(log), { TZ: "UTC" });
    database = server.database;
    await waitFor(() => server.log().split("] Ban ").length === 3, "fail2ban to ban both");
  }
  const summary = { bans: 2, bansKnown: 0, histories: 2, positions: 1, positionsLeft: 0, unreadable: 0 };
  assert.deepEqual(await agent.json("import", database), [{ database, ...summary }]);
  const again = { ...summary, bans: 0, bansKnown: 2, positions: 0, positionsLeft: 1 };
  assert.deepEqual(await agent.json("import", database), [{ database, ...again }]);
  {
    using store = openStore(agent.stateDir, silentLog);
    const standing = store.bans.standing(Date.now());
    assert.deepEqual(
      standing.map(({ jail, id, startMs, untilMs }) => [jail, id, startMs, untilMs]),
      [
        ["door", "192.0.2.1", (seconds + 1) * 1000, (seconds + 7201) * 1000],
        ["door", "2001:db8::1", (seconds + 3) * 1000, (seconds + 7203) * 1000],
      ],
    );
    assert.equal(store.bans.historyInJail("door", "192.0.2.1")?.bans, 1);
  }
  for (const [name, text] of Object.entries(door(log))) agent.write(`fail2ban/${name}`, text);
  agent.write("door.log", readFileSync(log, "utf8") + failures("192.0.2.9", seconds + 10));
  await using running = startProgram("agent/main.ts", ["run", "--config", agent.config]);
  await waitFor(() => running.stderr().includes('"id":"192.0.2.9"'), "the agent to read on");
  assert.equal(running.stderr().split('"event":"restored"').length - 1, 2);
  assert.equal(running.stderr().split('"event":"banned"').length - 1, 1, "lines fail2ban has read are not read again");
  const refused = await agent.run("import", database);
  assert.equal(refused.code, 69);
  assert.match(refused.stderr, /another fleet2ban agent is running/);
});

test("a log that is another file by now is read as if never seen", { skip: withoutFail2banServer }, async () => {
  using agent = openAgentFolder();
  const log = agent.write("door.log", `${Math.floor(Date.now() / 1000)} door refused 192.0.2.1\n`);
  let database = "";
  {
    await using server = await openFail2banServer(join(agent.folder, "server"), door(log));
    database = server.database;
    await waitFor(() => server.log().includes("Found 192.0.2.1"), "fail2ban to read the log");
  }
  agent.write("door.log", "1 another first line\n");
  const [taken] = await agent.json("import", database);
  assert.deepEqual(taken, {
    database,
    bans: 0,
    bansKnown: 0,
    histories: 0,
    positions: 0,
    positionsLeft: 1,
    unreadable: 0,
  });
});

test("a file that is no database of fail2ban's changes nothing", async () => {
  using agent = openAgentFolder();
  const { code, stderr } = await agent.run("import", agent.write("text", "hello"));
  assert.equal(code, 78);
  assert.match(stderr, /not a fail2ban database/);
  assert.equal(existsSync(agent.stateDir), false);
});
