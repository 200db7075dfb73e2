import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { prepareFilter } from "../../agent/filters/compile-filter.ts";
import { builtInConfigDir, loadFilter } from "../../agent/settings/load-settings.ts";
import { type CommandHelp, formatHelp, parseCommandLine, reportFatal, UsageError } from "../../shared/command-line.ts";
import { exitCodeOf, exitCodes } from "../../shared/errors.ts";
import { askFail2ban, withoutFail2ban } from "../agent/fail2ban-oracle.ts";
import { openFail2banServer, withoutFail2banServer } from "../support/fail2ban-server.ts";
import { cpuSeconds } from "./cpu-seconds.ts";
import type { Job, Measured } from "./filter-case.ts";

const help: CommandHelp = {
  usage: "npm run bench:filter -- [options]",
  about:
    "CPU per line of an sshd log of which 30 % are attacks: gate, filters, ignored addresses and counting of 1, 5 and 20\n" +
    "jails, with ISO dates and with syslog's, in a bundled process like the agent's. Prints one JSON object per case, the\n" +
    "last one again at the end: lines, jails, dates, cpuMicrosPerLine, linesPerCpuSecond, peakRssMb, failures, bans,\n" +
    "startCpuSeconds (before the first line), and in the same run\n" +
    "  fail2banRatio       times the CPU of fail2ban's own filters on the first lines\n" +
    "  fail2banRegexRatio  times the CPU of `fail2ban-regex --no-check-all` on the whole log, both with their start\n" +
    "  fail2banServerRatio times the CPU of a running fail2ban-server that reads the whole log and acts on nothing\n" +
    "                      (these two with one jail only; all are null where fail2ban is not installed)\n" +
    "  grepMicrosPerLine   `grep -cF` of the filters' literals: what looking for them must cost\n" +
    "  warm                the same again in a process that has compiled everything, µs per line, each step with those\n" +
    "                      before it: read, gate (which lines?), cut (into texts), match (date and regexes), all (and\n" +
    "                      counting under the watchdog)",
  options: {
    lines: { value: "N", help: "lines of the log (default 300000)" },
    jails: { value: "N", help: "only this case: 1, 5 or 20" },
    json: { help: "kept for scripts: the output is JSON in any case" },
  },
};
/** The first so many of them; a mode makes a jail of its own. */
const filters = [
  ...["sshd", "pam-generic", "postfix", "dovecot", "nginx-http-auth", "postfix-sasl", "exim", "exim-spam", "vsftpd"],
  ...["proftpd", "pure-ftpd", "recidive", "mysqld-auth", "roundcube-auth", "apache-auth", "nginx-botsearch"],
  ...["nginx-limit-req", "sshd[mode=aggressive]", "apache-scanners", "dovecot[mode=aggressive]"],
];
const cases = [1, 5, 20];
const generator = fileURLToPath(new URL("../../../shared/bench/gen-authlog.mjs", import.meta.url));
/** What the packaged agent runs with while it is at work (agent/packaging/fleet2ban-agent.service, agent/footprint.ts). */
const agentFlags = [
  ...["--no-maglev", "--max-semi-space-size=8", "--no-parallel-scavenge", "--no-allocation-site-pretenuring"],
];
/** grep is too quick to be measured once. */
const grepRuns = 10;
/** A fail2ban-server that has nothing to read uses less than this in this time. */
const [restMs, restCpuSeconds] = [3000, 0.2];
/** fail2ban needs a minute for 20 jails on more. */
const fail2banLines = 5000;

const theirLoop = `
import json, sys, time
from fail2ban.client.filterreader import FilterReader
from fail2ban.server.filter import Filter
asked = json.load(sys.stdin)
def opened(name, options):
    reader = FilterReader(name, "jail", options, basedir="/etc/fail2ban")
    if not reader.read(): return None
    reader.getOptions({})
    one = Filter(None); one.checkFindTime = False; one.setUseDns("no")
    add = {"addfailregex": one.addFailRegex, "addignoreregex": one.addIgnoreRegex}
    for command in reader.convert():
        values = command[3] if command[0] == "multi-set" else [command[3]]
        for value in values:
            if command[2] in add: add[command[2]](value)
            elif command[2] == "prefregex": one.prefRegex = value
            elif command[2] == "maxlines": one.setMaxLines(value)
            elif command[2] == "datepattern": one.setDatePattern(value)
    return one
filters = [each for each in (opened(*names) for names in asked["filters"]) if each]
before = time.process_time()
for line in asked["lines"]:
    for each in filters: each.processLine(line)
print(json.dumps((time.process_time() - before) * 1e6 / len(asked["lines"])))
`;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportFatal("bench:filter", error, exitCodeOf);
}

async function main(args: readonly string[]): Promise<number> {
  const line = parseCommandLine(args, help);
  if (line.help) {
    process.stdout.write(formatHelp(help));
    return exitCodes.ok;
  }
  const jails = line.text("jails");
  const lines = Number(line.text("lines") ?? 300_000);
  if (!Number.isInteger(lines) || lines < 1000) throw new UsageError("--lines: at least 1000");
  if (jails !== undefined && !cases.includes(Number(jails)))
    throw new UsageError(`--jails: one of ${cases.join(", ")}`);
  await runCases(lines, jails === undefined ? cases : [Number(jails)]);
  return exitCodes.ok;
}

async function runCases(lines: number, wanted: readonly number[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-bench-"));
  try {
    const program = join(folder, "case.mjs");
    const source = fileURLToPath(new URL("filter-case.ts", import.meta.url));
    buildSync({ entryPoints: [source], outfile: program, bundle: true, minify: true, platform: "node", format: "esm" });
    let last = "";
    for (const dates of ["iso", "trad"] as const) {
      const file = join(folder, `${dates}.log`);
      generate(file, lines, dates);
      for (const jails of wanted) {
        last = JSON.stringify({ dates, jails, ...(await runCase(program, file, jails)) });
        process.stdout.write(`${last}\n`);
      }
    }
    process.stdout.write(`${last}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function runCase(program: string, file: string, jails: number) {
  const prepared = filters.slice(0, jails).map((name) => prepareFilter(loadFilter(builtInConfigDir(), name), "no"));
  const job: Job = { file, filters: prepared };
  const jobFile = `${program}.json`;
  writeFileSync(jobFile, JSON.stringify(job));
  const ran = spawnSync(process.execPath, [...agentFlags, program, jobFile], {
    encoding: "utf8",
    env: { ...process.env, TZ: "UTC" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const measured: Measured = JSON.parse(ran.stdout);
  const { lines, cpuSeconds: used, startCpuSeconds } = measured;
  const cpuMicrosPerLine = rounded((used * 1e6) / lines);
  const theirs = withoutFail2ban === false ? fail2banMicros(file, jails) : null;
  const theirRegex = withoutFail2ban === false && jails === 1 ? fail2banRegexSeconds(file) : null;
  const theirServer = withoutFail2banServer === false && jails === 1 ? await fail2banServerSeconds(file) : null;
  const literals = prepared.flatMap((each) => each.prepared?.literals ?? []).map(({ text }) => text);
  return {
    ...measured,
    cpuMicrosPerLine,
    linesPerCpuSecond: Math.round(1e6 / cpuMicrosPerLine),
    fail2banRatio: theirs === null ? null : Math.round(theirs / cpuMicrosPerLine),
    fail2banRegexRatio: theirRegex === null ? null : rounded(theirRegex / (used + startCpuSeconds)),
    fail2banServerRatio: theirServer === null ? null : rounded(theirServer / (used + startCpuSeconds)),
    grepMicrosPerLine: rounded((grepSeconds(file, literals) * 1e6) / lines),
  };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function generate(file: string, lines: number, dates: "iso" | "trad"): void {
  if (existsSync(generator)) {
    const args = ["--lines", String(lines), "--fmt", dates, "--span", "36000", "--out", file];
    spawnSync(process.execPath, [generator, ...args], { stdio: "ignore" });
    return;
  }
  const endMs = Date.now();
  const rows = Array.from({ length: lines }, (_, index) => {
    const iso = new Date(endMs - (lines - index) * 100).toISOString();
    const date = dates === "iso" ? iso.replace("Z", "+00:00") : syslogDate(new Date(iso));
    const address = `198.51.${index % 100}.${(index * 7) % 250}`;
    const attack = `sshd[${index}]: Failed password for root from ${address} port ${1024 + (index % 60000)} ssh2`;
    return `${date} host ${index % 10 < 3 ? attack : `CRON[${index}]: pam_unix(cron:session): session closed for user root`}\n`;
  });
  writeFileSync(file, rows.join(""));
}

function syslogDate(date: Date): string {
  const [, day = "", month = "", , time = ""] = date.toUTCString().split(" ");
  return `${month} ${day.replace(/^0/, " ")} ${time}`;
}

/** CPU of a program that runs to its end. */
function secondsOf(work: () => unknown): number {
  const before = cpuSeconds(process.pid);
  const own = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(own);
  return cpuSeconds(process.pid) - before - (user + system) / 1e6;
}

function fail2banRegexSeconds(file: string): number {
  const args = ["--no-check-all", file, "/etc/fail2ban/filter.d/sshd.conf"];
  const env = { PATH: "/usr/bin:/bin", TZ: "UTC", LC_ALL: "C.UTF-8" };
  return secondsOf(() => spawnSync("fail2ban-regex", args, { stdio: "ignore", env }));
}

/** CPU of a server from its start until it has read the log and rests. */
async function fail2banServerSeconds(file: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-bench-peer-"));
  try {
    const jail = `[sshd]\nenabled = true\nfilter = sshd\nlogpath = ${file}\nbackend = polling\nfindtime = 12h\nbantime = 10m\naction =\n`;
    mkdirSync(join(folder, "config"));
    symlinkSync("/etc/fail2ban/filter.d", join(folder, "config/filter.d"));
    await using server = await openFail2banServer(join(folder, "config"), { "jail.conf": jail }, { TZ: "UTC" });
    for (let used = cpuSeconds(server.pid); ; ) {
      await delay(restMs);
      const now = cpuSeconds(server.pid);
      if (now - used < restCpuSeconds) return now;
      used = now;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function grepSeconds(file: string, literals: readonly string[]): number {
  const args = ["-cF", ...literals.flatMap((text) => ["-e", text]), file];
  // Into a pipe: grep stops at its first find when it sees that nobody reads.
  const grep = () => spawnSync("grep", args, { env: { PATH: "/usr/bin:/bin", LC_ALL: "C" } });
  return secondsOf(() => Array.from({ length: grepRuns }, grep)) / grepRuns;
}

/** CPU per line of fail2ban's filters of the same names; where it has none of a name it has less to do. */
function fail2banMicros(file: string, jails: number): number {
  const lines = readFileSync(file, "utf8").split("\n", fail2banLines);
  const names = filters.slice(0, jails).map((reference) => {
    const [, name, mode] = /^([\w-]+)(?:\[mode=(\w+)\])?$/.exec(reference) ?? [];
    return [name, mode === undefined ? {} : { mode }];
  });
  return Number(askFail2ban(theirLoop, { filters: names, lines }, "UTC"));
}
