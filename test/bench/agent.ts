import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { controlPath } from "../../agent/control/control-path.ts";
import { askControl } from "../../agent/control/control-socket.ts";
import type { AgentStatus } from "../../agent/status.ts";
import { type CommandHelp, formatHelp, parseCommandLine, reportFatal } from "../../shared/command-line.ts";
import { exitCodeOf, exitCodes } from "../../shared/errors.ts";
import { buildBundle } from "../support/bundle.ts";
import { type LiveFleet, openLiveFleet } from "../support/live-fleet.ts";
import { runProgram } from "../support/program.ts";
import { waitFor } from "../support/wait-for.ts";
import { cpuSeconds, memoryMb } from "./cpu-seconds.ts";
import { builtInDir, end, startInstalledAgent } from "./installed-agent.ts";

const help: CommandHelp = {
  usage: "npm run bench:agent -- [options]",
  about:
    "Resident memory of the installed agent with five jails, connected to a coordinator, idle; then after a burst of log\n" +
    "lines. Node's flags and environment are those of the systemd unit. Prints JSON: rssMb, anonMb, afterLoadRssMb, startMs (and\n" +
    "afterLoadAnonMb, bareRssMb, bareAnonMb: the same of a Node that does nothing). With --catch-up also catchUpPeakRssMb,\n" +
    "catchUpCpuSeconds and catchUpSeconds: the agent is stopped, the log grows, and it is started again.",
  options: {
    lines: { value: "N", help: "log lines of the burst (default 5000)" },
    "catch-up": { value: "MB", help: "how much log to catch up with (default 0: not measured)" },
    json: { help: "only the JSON line" },
  },
};
const jails = ["sshd", "postfix", "dovecot", "nginx-http-auth", "recidive"];
/** Idle: nothing of note has changed for so long. */
const settleMs = 5000;
/** In its first ten quiet seconds the agent gives back what starting took (agent/footprint.ts). */
const startedMs = 11_000;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportFatal("bench:agent", error, exitCodeOf);
}

async function main(args: readonly string[]): Promise<number> {
  const line = parseCommandLine(args, help);
  if (line.help) {
    process.stdout.write(formatHelp(help));
    return exitCodes.ok;
  }
  using bundle = buildBundle("agent");
  await using fleet = await openLiveFleet({ hosts: 0, namespaces: false });
  const sizes = { lines: Number(line.text("lines") ?? 5000), catchUpMb: Number(line.text("catch-up") ?? 0) };
  const result = await measure(join(bundle.folder, "fleet2ban-agent.mjs"), fleet, sizes);
  if (!line.on("json")) {
    for (const [name, value] of Object.entries(result)) process.stdout.write(`${name.padEnd(16)} ${value}\n`);
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
  return exitCodes.ok;
}

async function measure(program: string, fleet: LiveFleet, sizes: Readonly<{ lines: number; catchUpMb: number }>) {
  const { lines, catchUpMb } = sizes;
  const { config, stateDir, log } = writeConfig(fleet.workDir);
  const { token } = await fleet.api<{ token: string }>("POST", "/enrollment-tokens", { host: "bench" });
  const enrolled = await runProgram(program, ["enroll", token, "--config", config]);
  if (enrolled.code !== 0) throw new Error(enrolled.stderr);
  const bare = await settled(spawn(process.execPath, ["-e", "setInterval(() => undefined, 1e6)"]));
  const before = performance.now();
  let agent = startInstalledAgent(program, config);
  try {
    await agent.started();
    const startMs = Math.round(performance.now() - before);
    const status = async () => (await askControl(controlPath(stateDir), { verb: "status" })) as AgentStatus;
    await waitFor(async () => (await status()).fleet?.inSync, "the agent to be in step", 60_000);
    await sleep(startedMs);
    const idle = await settled(agent.child, false);
    appendFileSync(log, attack(lines));
    await waitFor(async () => (await status()).jails[0]?.banned.length === 200, "the burst to be judged", 60_000);
    const loaded = await settled(agent.child, false);
    const result = {
      rssMb: idle.rssMb,
      anonMb: idle.anonMb,
      afterLoadRssMb: loaded.rssMb,
      startMs,
      afterLoadAnonMb: loaded.anonMb,
      bareRssMb: bare.rssMb,
      bareAnonMb: bare.anonMb,
    };
    if (catchUpMb === 0) return result;
    await end(agent.child);
    for (let bytes = 0; bytes < catchUpMb * 1e6; ) {
      const some = attack(5000);
      appendFileSync(log, some);
      bytes += some.length;
    }
    appendFileSync(log, attack(15).replaceAll(/from 192\.0\.2\.\d+/g, "from 198.51.100.99"));
    const since = performance.now();
    agent = startInstalledAgent(program, config);
    await agent.started();
    const isThrough = async () => (await status()).jails[0]?.banned.length === 201;
    await waitFor(isThrough, "the log to be caught up with", 60_000 + catchUpMb * 1000);
    const pid = agent.child.pid ?? 0;
    return {
      ...result,
      catchUpPeakRssMb: memoryMb(pid).peakMb,
      catchUpCpuSeconds: cpuSeconds(pid),
      catchUpSeconds: Math.round((performance.now() - since) / 100) / 10,
    };
  } finally {
    await end(agent.child);
  }
}

function writeConfig(folder: string) {
  const log = join(folder, "service.log");
  writeFileSync(log, "");
  const overlay = jails.map(
    (name) => `[${name}]\nenabled = true\nbackend = polling\nlogpath = ${log}\nmaxretry = 5\nignoreself = false\n`,
  );
  writeFileSync(join(folder, "jail.local"), overlay.join(""));
  const stateDir = join(folder, "state");
  const config = join(folder, "agent.yaml");
  const yaml = { stateDir, credentials: join(folder, "credentials"), configDir: builtInDir, overlayDir: folder };
  const rows = Object.entries({ ...yaml, firewall: "observe", logLevel: "info" });
  writeFileSync(config, rows.map(([name, value]) => `${name}: ${value}\n`).join(""));
  return { config, stateDir, log };
}

/** A third failed logins of 200 addresses, the rest what an auth log is full of. */
function attack(lines: number): string {
  const date = new Date().toISOString().slice(0, 19);
  const rows = Array.from({ length: lines }, (_, index) => {
    const head = `${date}+00:00 host sshd[${index}]:`;
    if (index % 3 !== 0) return `${head} Connection closed by 198.51.100.7 port 4${index % 1000}`;
    return `${head} Failed password for root from 192.0.2.${1 + (Math.floor(index / 3) % 200)} port 22 ssh2`;
  });
  return `${rows.join("\n")}\n`;
}

type Memory = Readonly<{ rssMb: number; anonMb: number }>;

/** Its memory once it has not changed for a while. */
async function settled(child: ChildProcess, thenEnd = true): Promise<Memory> {
  let last = memoryOf(child);
  for (let since = performance.now(); performance.now() - since < settleMs; ) {
    await sleep(250);
    const now = memoryOf(child);
    if (Math.abs(now.rssMb - last.rssMb) > 0.2) since = performance.now();
    last = now;
  }
  if (thenEnd) await end(child);
  return last;
}

function memoryOf({ pid }: ChildProcess): Memory {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  // Megabytes of 10^6, from /proc's units of 1024.
  const mb = (field: string) => Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) * 0.1024) / 100;
  return { rssMb: mb("VmRSS"), anonMb: mb("RssAnon") };
}
