import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { openFail2banServer, withoutFail2banServer } from "../../support/fail2ban-server.ts";
import { waitFor } from "../../support/wait-for.ts";
import { askFail2ban } from "../fail2ban-oracle.ts";
import { logClockJail } from "../jails/log-clock-jail.ts";
import { type AgentFolder, openAgentFolder } from "./command-support.ts";

/** Real logs that may lie beside the repository. */
const dataDir = join(import.meta.dirname, "../../../../shared/data");
const logs = existsSync(dataDir)
  ? readdirSync(dataDir).flatMap((name) => (name.startsWith("auth-") ? [join(dataDir, name, "auth.log")] : []))
  : [];
const skip = withoutFail2banServer || (logs.length === 0 && `there are no logs auth-*/auth.log in ${dataDir}`);
const filters = ["sshd", "sshd[mode=aggressive]"];
const configDir = ["--config-dir", "/etc/fail2ban"];

/** What operators set: quick and slow, sparing somebody, growing in every way. */
const replayedJails = `[DEFAULT]
enabled = true
filter = sshd[mode=aggressive]
backend = polling
logpath = /var/log/auth.log
usedns = no
ignoreself = false
maxretry = 5
findtime = 10m
bantime = 10m
action =
[quick]
maxretry = 2
findtime = 1m
[slow]
filter = sshd
maxretry = 8
findtime = 3d
bantime = 1h
[for-ever]
maxretry = 3
findtime = 1d
bantime = -1
[sparing]
maxretry = 3
ignoreip = 192.0.2.1 0.0.0.0/2, 128.0.0.0/128.0.0.0
[doubling]
bantime.increment = true
bantime.maxtime = 2d
[multiplied]
maxretry = 4
findtime = 1h
bantime.increment = true
bantime.multipliers = 1 6 24 168 720
[grown]
bantime.increment = true
bantime.factor = 2.0 / 2.885385
bantime.formula = ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)
`;

/** Times are years long, so that a server of today still counts and bans what an old log says. */
const servedJails = `[DEFAULT]
enabled = true
backend = polling
filter = sshd[mode=aggressive]
logpath = LOG
findtime = 30y
bantime = 40y
ignoreself = false
usedns = no
action = record
[eager]
maxretry = 4
[normal]
filter = sshd
maxretry = 9
bantime = 39y
[sparing]
maxretry = 3
ignoreip = 0.0.0.0/2, 192.0.2.1 128.0.0.0/128.0.0.0
`;

/** fail2ban reads the jails and follows the log; prints the bans of each jail. */
const followLog = `${logClockJail}
from fail2ban.client.jailreader import JailReader
from fail2ban.client.jailsreader import JailsReader
asked = json.load(sys.stdin)
reader = JailsReader(share_config={}, basedir=asked["configDir"])
reader.read()
lines = open(asked["log"], encoding="utf-8", errors="replace").read().split("\\n")
answers = {}
for name in reader.sections():
    read = JailReader(name, share_config={}, use_config=reader._cfg)
    read.getOptions()
    followed = LogClockJail(name)
    for command in read.convert(allow_no_files=True):
        if command[0] not in ("set", "multi-set"): continue
        values = command[3] if command[0] == "multi-set" else command[3:]
        for value in values: followed.set(command[2], value)
    for line in lines: followed.line(line, asked["now"])
    answers[name] = followed.bans
json.dump(answers, sys.stdout)
`;

describe("on real logs", { skip }, () => {
  for (const original of logs) {
    for (const filter of filters) {
      test(`${filter} finds what fail2ban-regex finds in ${original.split("/").at(-2)}`, async () => {
        using agent = openAgentFolder();
        const log = withoutFolded(agent, original);
        const rows = await agent.json("filter", log, filter, ...configDir, "--usedns", "no");
        const regex = (...more: string[]) =>
          run("fail2ban-regex", ...more, "--usedns", "no", "-e", "UTF-8", log, filter);
        const theirs = [...regex("-o", "row").matchAll(/^\['([^']*)',\t([\d.]+),/gm)].map(([, id, time]) => [
          id,
          Number(time),
        ]);
        assert.ok(theirs.length > 100, `fail2ban-regex found only ${theirs.length}`);
        const ours = rows.slice(0, -1).map((row) => [(row as Row).id, (row as Row).time]);
        assert.deepEqual(ours, theirs);
        const [, lines, ignored, matched, missed] =
          /Lines: (\d+) lines, (\d+) ignored, (\d+) matched, (\d+) missed/.exec(regex()) ?? [];
        assert.deepEqual(rows.at(-1), {
          lines: Number(lines),
          matched: Number(matched),
          ignored: Number(ignored),
          missed: Number(missed),
        });
      });
    }

    test(`replay bans whom fail2ban bans when it follows ${original.split("/").at(-2)} by its own clock`, async (context) => {
      using agent = openAgentFolder({ "jail.conf": replayedJails });
      symlinkSync("/etc/fail2ban/filter.d", join(agent.folder, "fail2ban/filter.d"));
      const log = withoutFolded(agent, original);
      const nowS = Math.floor(Date.now() / 1000);
      const asked = { configDir: join(agent.folder, "fail2ban"), log, now: nowS };
      const answers = askFail2ban(followLog, asked, "UTC") as Record<string, [number, string, number, number][]>;
      assert.equal(Object.keys(answers).length, 7);
      for (const [jail, bans] of Object.entries(answers)) {
        const ours = (await agent.json("replay", log, "--jail", jail, "--now", String(nowS))) as Ban[];
        const rows = ours.map(({ at, id, bantime }) => [at, id, bantime]);
        assert.deepEqual(
          rows,
          bans.map((ban) => ban.slice(0, 3)),
          jail,
        );
        assert.ok(bans.length >= 10, `${jail}: ${bans.length} bans are too few to compare`);
        context.diagnostic(`${jail}: ${bans.length} bans of ${new Set(bans.map(([, id]) => id)).size} addresses`);
      }
    });

    test(`replay bans whom a running fail2ban-server bans on ${original.split("/").at(-2)}`, async () => {
      using agent = openAgentFolder();
      const log = withoutFolded(agent, original);
      const out = join(agent.folder, "bans.txt");
      const files = {
        "jail.conf": servedJails.replace("LOG", log),
        "action.d/record.conf": `[Definition]\nactionban = echo <name> <fid> <time> <bantime> >> ${out}\n`,
      };
      for (const [name, text] of Object.entries(files)) agent.write(`fail2ban/${name}`, text);
      symlinkSync("/etc/fail2ban/filter.d", join(agent.folder, "fail2ban/filter.d"));
      const ours: ServedBan[] = [];
      for (const jail of ["eager", "normal", "sparing"]) {
        const bans = (await agent.json("replay", log, "--jail", jail)) as Ban[];
        assert.ok(bans.length > 5, `${jail}: ${bans.length} bans are too few to compare`);
        ours.push(...bans.map(({ id, at, bantime }): ServedBan => [jail, id, at, bantime]));
      }
      {
        await using server = await openFail2banServer(join(agent.folder, "fail2ban"), {}, { TZ: "UTC" });
        await waitFor(
          () => bansIn(out).length >= ours.length || server.log().includes("ERROR"),
          "fail2ban to ban as many",
          60_000,
        );
      }
      assert.deepEqual(ours.toSorted(), bansIn(out).toSorted());
    });
  }
});

/** The log without the lines that syslog folded (`message repeated 3 times`): the agent counts them, fail2ban misses them. */
function withoutFolded(agent: AgentFolder, log: string): string {
  const lines = readFileSync(log, "latin1").split("\n");
  const kept = lines.filter((line) => !line.includes("message repeated ")).join("\n");
  return agent.write("auth.log", Buffer.from(kept, "latin1").toString());
}

type Row = Readonly<{ id: string; time: number }>;
type ServedBan = [jail: string, id: string, at: number, bantime: number];
type Ban = Readonly<{ id: string; at: number; bantime: number }>;

function run(command: string, ...args: string[]): string {
  return spawnSync(command, args, { encoding: "utf8", env: { ...process.env, TZ: "UTC" }, maxBuffer: 1e9 }).stdout;
}

function bansIn(file: string): ServedBan[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => {
    const [jail = "", id = "", at, bantime] = line.split(" ");
    return [jail, id, Number(at), Number(bantime)];
  });
}
