import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { controlPath } from "../../agent/control/control-path.ts";
import { askControl } from "../../agent/control/control-socket.ts";
import type { AgentStatus } from "../../agent/status.ts";
import { type CommandHelp, formatHelp, parseCommandLine, reportFatal } from "../../shared/command-line.ts";
import { exitCodeOf, exitCodes, Fleet2banError } from "../../shared/errors.ts";
import { buildBundle } from "../support/bundle.ts";
import { failedLogin } from "../support/live-fleet.ts";
import { namespacesMissing, openNetwork, type TestHost } from "../support/namespaces.ts";
import { openPeer, type TrafficPeer } from "../support/traffic.ts";
import { waitFor } from "../support/wait-for.ts";
import { cpuSecondsApart, memoryMb } from "./cpu-seconds.ts";
import { builtInDir, end, startInstalledAgent } from "./installed-agent.ts";

const help: CommandHelp = {
  usage: "npm run bench:burst -- [options]",
  about:
    "Many offenders at once: their lines are written to the log of the installed agent in one go, and real packets of the\n" +
    "last one show when the kernel stops him. A network namespace with nftables; needs root. Prints JSON: offenders,\n" +
    "lines, lastBannedMs (from the write of all lines to the first dropped packet of the last offender), bannedInKernel,\n" +
    "agentCpuSeconds and nftCpuSeconds until then, peakRssMb. Of several rounds, each with other offenders, the middle one by time counts.",
  options: {
    offenders: { value: "N", help: "addresses (default 11000)" },
    retries: { value: "N", help: "maxretry, and lines of each (default 3)" },
    rounds: { value: "N", help: "default 3, at most 5" },
    json: { help: "only the JSON line" },
  },
};
const sshPort = 22;
const deadlineMs = 60_000;
/** Without a pause the three processes that knock and answer take one of two cores from the agent. */
const knockEveryMs = 5;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportFatal("bench:burst", error, exitCodeOf);
}

async function main(args: readonly string[]): Promise<number> {
  const line = parseCommandLine(args, help);
  if (line.help) {
    process.stdout.write(formatHelp(help));
    return exitCodes.ok;
  }
  const missing = namespacesMissing("nft");
  if (missing !== false) throw new Fleet2banError("unavailable", `bench:burst ${missing}`);
  const number = (name: string, fallback: number) => Number(line.text(name) ?? fallback);
  const sizes = { offenders: Math.min(60_000, number("offenders", 11_000)), retries: number("retries", 3) };
  using bundle = buildBundle("agent");
  using network = openNetwork(1);
  const [host] = network.hosts;
  if (host === undefined) throw new Error("no host");
  await using server = openPeer(host);
  await using attacker = openPeer(network.attacker);
  await server.serve([sshPort]);
  const results = [];
  for (let round = 0; round < Math.min(5, number("rounds", 3)); round += 1) {
    // One after the other has the kernel to itself.
    const last = `198.51.100.${101 + round}`;
    network.attacker.addAddress(last);
    const result = await burst(join(bundle.folder, "fleet2ban-agent.mjs"), host, attacker, last, sizes);
    if (!line.on("json")) process.stdout.write(`${Object.values(result).join(" ")}\n`);
    results.push(result);
  }
  results.sort((one, other) => one.lastBannedMs - other.lastBannedMs);
  process.stdout.write(`${JSON.stringify(results[Math.floor(results.length / 2)])}\n`);
  return exitCodes.ok;
}

async function burst(
  program: string,
  host: TestHost,
  attacker: TrafficPeer,
  last: string,
  { offenders, retries }: Readonly<{ offenders: number; retries: number }>,
) {
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-burst-"));
  const { config, stateDir, log } = writeConfig(folder, retries);
  const agent = startInstalledAgent(program, config, host.prefix);
  try {
    await agent.started();
    const status = async () => (await askControl(controlPath(stateDir), { verb: "status" })) as AgentStatus;
    await waitFor(async () => (await status()).firewall.state === "ok", "the firewall to be ready", deadlineMs);
    const addresses = Array.from({ length: offenders - 1 }, (_, index) => `198.18.${index >> 8}.${index & 255}`);
    const atMs = Date.now();
    const lines = [...addresses, last].flatMap((address) => {
      return Array.from({ length: retries }, () => `${failedLogin("host1", address, atMs)}\n`);
    });
    const text = lines.join("");
    const pid = agent.child.pid ?? 0;
    const before = cpuSecondsApart(pid);
    const startedMs = performance.now();
    appendFileSync(log, text);
    const lastBannedMs = await droppedAfter(attacker, last, host, startedMs);
    const after = cpuSecondsApart(pid);
    const { stdout } = await host.run(["nft", "list", "table", "inet", "fleet2ban"]);
    const bannedInKernel = new Set(stdout.match(/198\.(?:18|51)\.\d+\.\d+(?= |,)/g)).size;
    const costs = {
      agentCpuSeconds: Math.round((after.own - before.own) * 100) / 100,
      nftCpuSeconds: Math.round((after.children - before.children) * 100) / 100,
      peakRssMb: memoryMb(pid).peakMb,
    };
    return { offenders, lines: lines.length, lastBannedMs: Math.round(lastBannedMs), bannedInKernel, ...costs };
  } finally {
    await end(agent.child);
    await host.run(["nft", "delete", "table", "inet", "fleet2ban"]).catch(() => undefined);
    rmSync(folder, { recursive: true });
  }
}

/** Start of the first connection attempt that got no answer. */
async function droppedAfter(peer: TrafficPeer, from: string, host: TestHost, startedMs: number): Promise<number> {
  for (;;) {
    const triedMs = performance.now();
    if ((await peer.knock(from, host.ipv4, sshPort)) !== "answered") return triedMs - startedMs;
    await sleep(knockEveryMs);
    if (triedMs - startedMs > deadlineMs) throw new Error(`${from} was not banned within ${deadlineMs} ms`);
  }
}

function writeConfig(folder: string, retries: number) {
  const log = join(folder, "auth.log");
  writeFileSync(log, "");
  const jail = `[sshd]\nenabled = true\nbackend = polling\nlogpath = ${log}\nmaxretry = ${retries}\n`;
  writeFileSync(join(folder, "jail.local"), jail);
  const stateDir = join(folder, "state");
  const config = join(folder, "agent.yaml");
  const places = { stateDir, credentials: join(folder, "none"), configDir: builtInDir, overlayDir: folder };
  const rows = Object.entries({ ...places, firewall: "nftables", logLevel: "info" });
  writeFileSync(config, rows.map(([name, value]) => `${name}: ${value}\n`).join(""));
  return { config, stateDir, log };
}
