import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileFilter } from "../../agent/filters/compile-filter.ts";
import { createLogFilters } from "../../agent/filters/filter-log.ts";
import { createBanHistory } from "../../agent/jails/ban-history.ts";
import { createJail } from "../../agent/jails/jail.ts";
import { builtInConfigDir, loadFilter } from "../../agent/settings/load-settings.ts";
import { type CommandHelp, formatHelp, parseCommandLine, reportFatal, UsageError } from "../../shared/command-line.ts";
import { exitCodeOf, exitCodes } from "../../shared/errors.ts";
import { askFail2ban, withoutFail2ban } from "../agent/fail2ban-oracle.ts";
import { memoryMb } from "./cpu-seconds.ts";

const help: CommandHelp = {
  usage: "npm run bench:filter -- [options]",
  about:
    "CPU per line of an sshd log of which 30 % are attacks: gate, filters and counting of 1, 5 and 20 jails, with ISO dates\n" +
    "and with syslog's. Prints one JSON object per case, the last one again at the end: lines, jails, dates,\n" +
    "cpuMicrosPerLine, linesPerCpuSecond, peakRssMb, failures, fail2banRatio (times the CPU of fail2ban's own filters on\n" +
    "the first lines; null where fail2ban is not installed).",
  options: {
    lines: { value: "N", help: "lines of the log (default 300000)" },
    jails: { value: "N", help: "only this case: 1, 5 or 20" },
    json: { help: "kept for scripts: the output is JSON in any case" },
    case: { value: "FILE", help: "used by the benchmark itself: one case in a process of its own" },
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
/** As the agent reads a log it has to catch up with. */
const chunkBytes = 256 * 1024;
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
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportFatal("bench:filter", error, exitCodeOf);
}

function main(args: readonly string[]): number {
  const line = parseCommandLine(args, help);
  if (line.help) {
    process.stdout.write(formatHelp(help));
    return exitCodes.ok;
  }
  const jails = line.text("jails");
  const file = line.text("case");
  if (file !== undefined) {
    process.stdout.write(`${JSON.stringify(measure(file, Number(jails)))}\n`);
    return exitCodes.ok;
  }
  const lines = Number(line.text("lines") ?? 300_000);
  if (!Number.isInteger(lines) || lines < 1000) throw new UsageError("--lines: at least 1000");
  if (jails !== undefined && !cases.includes(Number(jails)))
    throw new UsageError(`--jails: one of ${cases.join(", ")}`);
  runCases(lines, jails === undefined ? cases : [Number(jails)]);
  return exitCodes.ok;
}

function runCases(lines: number, wanted: readonly number[]): void {
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-bench-"));
  try {
    let last = "";
    for (const dates of ["iso", "trad"] as const) {
      const file = join(folder, `${dates}.log`);
      generate(file, lines, dates);
      for (const jails of wanted) {
        const own = process.argv[1] ?? "";
        const options = { encoding: "utf8", env: { ...process.env, TZ: "UTC" } } as const;
        const args = [...process.execArgv, own, "--case", file, "--jails", String(jails)];
        const measured: ReturnType<typeof measure> = JSON.parse(spawnSync(process.execPath, args, options).stdout);
        const theirs = withoutFail2ban === false ? fail2banMicros(file, jails) : null;
        const ratio = theirs === null ? null : Math.round(theirs / measured.cpuMicrosPerLine);
        last = JSON.stringify({ dates, ...measured, fail2banRatio: ratio });
        process.stdout.write(`${last}\n`);
      }
    }
    process.stdout.write(`${last}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
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

function measure(file: string, jails: number) {
  const references = filters.slice(0, jails);
  const compiled = references.map((name) =>
    compileFilter(loadFilter(builtInConfigDir(), name), { useDns: "no", timezone: "UTC" }),
  );
  const rules = { maxRetry: 5, maxMatches: 5, findTimeMs: 600_000, banTimeMs: 600_000, increment: null };
  const ignoreList = { check: () => ({ kind: "not-ignored" }) as const, remember: () => undefined };
  const counting = new Map(
    compiled.map((filter, index) => {
      const parts = { ignoreList, history: createBanHistory(), random: () => 0 };
      return [filter, createJail({ name: `jail${index}`, ...rules }, parts)];
    }),
  );
  const log = createLogFilters(compiled, { report: (trouble) => process.stderr.write(`${JSON.stringify(trouble)}\n`) });
  let failures = 0;
  let lines = 0;
  const nowMs = Date.now();
  const before = process.cpuUsage();
  for (const chunk of chunksOf(file)) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1;
    log.process(chunk, { nowMs, mode: "any", findTimeMs: 0 }, (task, outcome) => {
      if (outcome.kind !== "failure") return;
      for (const failure of outcome.failures) counting.get(task.filter)?.onFailure(failure, failure.atMs);
      failures += outcome.failures.length;
    });
  }
  const { user, system } = process.cpuUsage(before);
  const cpuMicrosPerLine = Math.round(((user + system) / lines) * 1000) / 1000;
  const linesPerCpuSecond = Math.round(1e6 / cpuMicrosPerLine);
  return { lines, jails, cpuMicrosPerLine, linesPerCpuSecond, peakRssMb: memoryMb(process.pid).peakMb, failures };
}

function* chunksOf(file: string): Generator<Buffer> {
  const descriptor = openSync(file, "r");
  const buffer = Buffer.alloc(chunkBytes);
  let kept = 0;
  for (;;) {
    const filled = kept + readSync(descriptor, buffer, kept, chunkBytes - kept, null);
    const end = buffer.lastIndexOf(10, filled - 1) + 1;
    if (filled === kept || end === 0) return;
    yield buffer.subarray(0, end);
    buffer.copy(buffer, 0, end, filled);
    kept = filled - end;
  }
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
