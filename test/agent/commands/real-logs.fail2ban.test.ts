import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { openFail2banServer, withoutFail2banServer } from "../../support/fail2ban-server.ts";
import { waitFor } from "../../support/wait-for.ts";
import { type AgentFolder, openAgentFolder } from "./command-support.ts";

/** Real logs that may lie beside the repository. */
const dataDir = join(import.meta.dirname, "../../../../shared/data");
const logs = existsSync(dataDir)
  ? readdirSync(dataDir).flatMap((name) => (name.startsWith("auth-") ? [join(dataDir, name, "auth.log")] : []))
  : [];
const skip = withoutFail2banServer || (logs.length === 0 && `there are no logs auth-*/auth.log in ${dataDir}`);
const filters = ["sshd", "sshd[mode=aggressive]"];
const configDir = ["--config-dir", "/etc/fail2ban"];

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

    test(`replay bans whom fail2ban-server bans on ${original.split("/").at(-2)}`, async () => {
      using agent = openAgentFolder();
      const log = withoutFolded(agent, original);
      const out = join(agent.folder, "bans.txt");
      // Years long, so that a server of today still counts and bans what an old log says.
      const jail = "maxretry = 4\nfindtime = 30y\nbantime = 40y\nignoreself = false\nusedns = no\naction = record\n";
      const files = {
        "jail.conf": `[sshd]\nenabled = true\nbackend = polling\nfilter = sshd[mode=aggressive]\nlogpath = ${log}\n${jail}`,
        "action.d/record.conf": `[Definition]\nactionban = echo <fid> <time> <bantime> >> ${out}\n`,
      };
      for (const [name, text] of Object.entries(files)) agent.write(`fail2ban/${name}`, text);
      symlinkSync("/etc/fail2ban/filter.d", join(agent.folder, "fail2ban/filter.d"));
      const ours = (await agent.json("replay", log, "--jail", "sshd")) as Ban[];
      assert.ok(ours.length > 10, `${ours.length} bans are too few to compare`);
      {
        await using server = await openFail2banServer(join(agent.folder, "fail2ban"), {}, { TZ: "UTC" });
        await waitFor(
          () => bansIn(out).length >= ours.length || server.log().includes("ERROR"),
          "fail2ban to ban as many",
          60_000,
        );
      }
      assert.deepEqual(ours.map(({ id, at, bantime }) => [id, at, bantime]).toSorted(), bansIn(out).toSorted());
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
type Ban = Readonly<{ id: string; at: number; bantime: number }>;

function run(command: string, ...args: string[]): string {
  return spawnSync(command, args, { encoding: "utf8", env: { ...process.env, TZ: "UTC" }, maxBuffer: 1e9 }).stdout;
}

function bansIn(file: string): [string, number, number][] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => {
    const [id = "", at, bantime] = line.split(" ");
    return [id, Number(at), Number(bantime)];
  });
}
