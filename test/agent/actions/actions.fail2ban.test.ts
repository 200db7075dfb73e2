import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openFail2banServer, withoutFail2banServer, writeFiles } from "../../support/fail2ban-server.ts";
import { startProgram } from "../../support/program.ts";
import { waitFor } from "../../support/wait-for.ts";

const filter = "[Definition]\nfailregex = ^\\s*door refused <ADDR> as <F-USER>.*</F-USER>$\ndatepattern = ^EPOCH\n";
const tags = [
  "ip",
  "family",
  "ip-rev",
  "fid",
  "failures",
  "bantime",
  "restored",
  "name",
  "actname",
  "F-USER",
  "F-NONE",
  "sh-hostname",
  "fq-hostname",
  "sort",
  "matches",
];
/** Every tag on a line of its own, between double quotes, as operators write them; then what the shell was left with. */
const record = `[Definition]
actionstart = echo "start <family> <sort> <ip>" >> <out>
actionstop = echo "stop <sort>" >> <out>
actionban = printf '%%s\\n' "ban" ${tags.map((tag) => `"${tag}=<${tag}>"`).join(" ")} >> <out>
  printf 'time %%.0f\\n' <time> >> <out>
actionunban = echo "unban <ip> <F-USER>" >> <out>
[Init]
sort = four
[Init?family=inet6]
sort = six
`;
const hostile = [
  "root",
  "$(touch PWNED)",
  "`touch PWNED`",
  "a; touch PWNED",
  "two words",
  'quo"te',
  "it's",
  "\\",
  "*",
  "größe",
  "a\tb",
];

test("a recording action is told the same by fail2ban-server and by the agent", {
  skip: withoutFail2banServer,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-actions-"));
  try {
    const seconds = Math.floor(Date.now() / 1000) - 30;
    const marker = join(folder, "pwned");
    const lines = hostile.flatMap((user, index) => {
      const address = index % 3 === 2 ? `2001:db8::${index + 1}` : `192.0.2.${index + 1}`;
      return [0, 1].map(
        (again) => `${seconds + 2 * index + again} door refused ${address} as ${user.replace("PWNED", marker)}`,
      );
    });
    const log = join(folder, "door.log");
    writeFileSync(log, `${lines.join("\n")}\n`);
    const files = (out: string) => ({
      "jail.conf": `[door]\nenabled = true\nbackend = polling\nfilter = door\nlogpath = ${log}\nmaxretry = 2\nignoreself = false\nfindtime = 1h\nbantime = 2h\naction = record[out=${out}]\n`,
      "filter.d/door.conf": filter,
      "action.d/record.conf": record,
    });
    const theirs = join(folder, "theirs.txt");
    const ours = join(folder, "ours.txt");
    {
      await using _server = await openFail2banServer(join(folder, "fail2ban"), files(theirs), { TZ: "UTC" });
      await waitFor(() => bansIn(theirs) === hostile.length, "fail2ban to ban everyone", 60_000);
    }
    writeFiles(join(folder, "agent"), files(ours));
    const config = join(folder, "agent.yaml");
    writeFileSync(
      config,
      `stateDir: ${folder}/state\ncredentials: ${folder}/none\nconfigDir: ${folder}/agent\noverlayDir: ${folder}/none\nfirewall: observe\nactions: [record]\n`,
    );
    {
      await using _agent = startProgram("agent/main.ts", ["run", "--config", config], { env: { TZ: "UTC" } });
      await waitFor(() => bansIn(ours) === hostile.length, "the agent to ban everyone", 60_000);
    }
    assert.equal(existsSync(marker), false, "a user name became a command");
    assert.deepEqual(sections(ours), sections(theirs));
    assert.ok(readFileSync(ours, "utf8").includes("unban 192.0.2.1 root"), "bans are lifted at the end");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function bansIn(file: string): number {
  return existsSync(file) ? readFileSync(file, "utf8").split("\ntime ").length - 1 : 0;
}

/** What belongs together; the two lift their bans at the end in orders of their own. */
function sections(file: string): string[] {
  return readFileSync(file, "utf8")
    .split(/(?=^(?:ban$|unban |start |stop ))/m)
    .toSorted();
}
