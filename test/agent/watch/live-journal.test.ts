import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { writeFiles } from "../../support/fail2ban-server.ts";
import { journalNamespace, type LiveJournald, openLiveJournald, withoutJournald } from "../../support/live-journald.ts";
import { type Program, startProgram } from "../../support/program.ts";
import { waitFor } from "../../support/wait-for.ts";

const folder = mkdtempSync(join(tmpdir(), "fleet2ban-journald-"));
after(() => rmSync(folder, { recursive: true }));
const doorFilter =
  "[Definition]\nfailregex = ^\\S+ \\S+\\[77\\]: refused <HOST>$\njournalmatch = SYSLOG_IDENTIFIER=door\n";
/** agent.yaml of an agent that reads its configuration in `configDir`. */
function configFor(configDir: string): string {
  mkdirSync(configDir, { recursive: true });
  const config = join(configDir, "agent.yaml");
  const places = { stateDir: `${configDir}/state`, credentials: "none", configDir, overlayDir: `${configDir}/none` };
  const rows = Object.entries({ ...places, firewall: "observe" });
  writeFileSync(config, rows.map(([name, value]) => `${name}: ${value}\n`).join(""));
  return config;
}
const config = configFor(folder);
const apartConfig = configFor(join(folder, "apart"));
writeFiles(folder, {
  // Two jails of the system's journal and one of the same files under another name: two readers.
  "jail.conf": `[DEFAULT]
enabled = true
filter = door
ignoreself = false
maxretry = 3
[system]
backend = systemd
[files]
backend = systemd[journalpath="/run/log/journal"]
[window]
backend = systemd
filter = door[journalmatch="SYSLOG_IDENTIFIER=window"]
`,
  "apart/jail.conf": `[DEFAULT]
enabled = true
filter = door
ignoreself = false
maxretry = 3
[system]
backend = systemd
[apart]
backend = systemd[namespace="${journalNamespace}"]
`,
  "apart/filter.d/door.conf": doorFilter,
  "filter.d/door.conf": doorFilter,
});

test("a live journald is followed: over its rotation, its death and ours, every line once", {
  skip: withoutJournald,
  timeout: 120_000,
}, async () => {
  await using journald = await openLiveJournald();
  await journald.start();
  const log = (address: string, times = 1, identifier = "door") => {
    for (let index = 0; index < times; index += 1) journald.log(identifier, `refused ${address}`);
  };
  const both = (...addresses: string[]) => addresses.flatMap((each) => [`files ${each}`, `system ${each}`]);

  log("192.0.2.1", 2);
  await using first = await start(journald, config);
  log("192.0.2.1");
  log("192.0.2.7", 3, "window");
  const known = [...both("192.0.2.1"), "window 192.0.2.7"];
  await waitFor(() => bansIn(first.stderr()).length === known.length, "what was there and what came");
  log("192.0.2.2", 2);
  await journald.rotate();
  log("192.0.2.2");
  const rotated = [...known, ...both("192.0.2.2")];
  await waitFor(() => bansIn(first.stderr()).length === rotated.length, "the lines before and after the rotation");
  log("192.0.2.3", 2);
  await journald.stop("SIGKILL");
  await journald.start();
  log("192.0.2.3");
  const restarted = [...rotated, ...both("192.0.2.3")];
  await waitFor(
    () => bansIn(first.stderr()).length === restarted.length,
    "the lines before and after journald's death",
  );
  assert.deepEqual(bansIn(first.stderr()).toSorted(), restarted.toSorted());

  // Seen before: if they came again, the third one below would ban.
  log("192.0.2.4", 2);
  log("192.0.2.5", 3);
  await waitFor(() => bansIn(first.stderr()).length === restarted.length + 2, "the last lines before our death");
  first.signal("SIGKILL");
  await first.ended;
  log("192.0.2.6", 2);
  await using second = await start(journald, config);
  log("192.0.2.4");
  log("192.0.2.6");
  await waitFor(() => bansIn(second.stderr()).length >= 2, "the lines that came while the agent was away");
  assert.deepEqual(bansIn(second.stderr()).toSorted(), both("192.0.2.6").toSorted());
  second.signal("SIGTERM");
  assert.equal(await second.ended, 0, second.stderr());
});

test("a namespace of the journal is followed by the jail that names it, and by no other", {
  skip: withoutJournald,
  timeout: 120_000,
}, async () => {
  await using journald = await openLiveJournald();
  await journald.start();
  await journald.start(journalNamespace);
  const fail = (address: string, times: number, journal?: typeof journalNamespace) => {
    for (let index = 0; index < times; index += 1) journald.log("door", `refused ${address}`, journal);
  };
  fail("192.0.2.1", 2);
  fail("192.0.2.1", 2, journalNamespace);
  fail("192.0.2.2", 2, journalNamespace);
  await using agent = await start(journald, apartConfig);
  fail("192.0.2.2", 1, journalNamespace);
  fail("192.0.2.3", 3);
  await waitFor(() => bansIn(agent.stderr()).length === 2, "one ban by each jail");
  assert.deepEqual(bansIn(agent.stderr()).toSorted(), ["apart 192.0.2.2", "system 192.0.2.3"]);
});

async function start(journald: LiveJournald, configFile: string): Promise<Program> {
  const agent = startProgram("agent/main.ts", ["run", "--config", configFile], { prefix: journald.prefix });
  await waitFor(
    () => /"event":"started"/.test(agent.stderr()) || agent.ending() !== undefined,
    "the agent to start",
    60_000,
  );
  assert.equal(agent.ending(), undefined, agent.stderr());
  return agent;
}

function bansIn(stderr: string): string[] {
  const banned = /"jail":"(\w+)","id":"([\d.]+)".*?"event":"banned"/g;
  return [...stderr.matchAll(banned)].map(([, jail, id]) => `${jail} ${id}`);
}
