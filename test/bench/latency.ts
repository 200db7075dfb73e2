import { type CommandHelp, formatHelp, parseCommandLine, reportFatal } from "../../shared/command-line.ts";
import { exitCodeOf, exitCodes, Fleet2banError } from "../../shared/errors.ts";
import { failedLogin, type LiveHost, openLiveFleet } from "../support/live-fleet.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { openPeer, type TrafficPeer } from "../support/traffic.ts";
import { waitFor } from "../support/wait-for.ts";

const help: CommandHelp = {
  usage: "npm run bench:latency -- [options]",
  about:
    "From the line that makes the ban, written to one host's log, to the first of the attacker's real packets that is\n" +
    "dropped: on the same host (its own jail) and on the others (through the coordinator). Real programs in network\n" +
    "namespaces; needs root. Prints JSON: bans, sameHostP50Ms, sameHostP99Ms, otherHostsP50Ms, otherHostsP99Ms.",
  options: {
    bans: { value: "N", help: "attackers, one after the other (default 200, at most 5000)" },
    hosts: { value: "N", help: "hosts (default 3)" },
    json: { help: "only the JSON line" },
  },
};
const jail = "[sshd]\nenabled = true\nbackend = polling\nlogpath = LOGFILE\nmaxretry = 3\n";
const sshPort = 22;
const dropDeadlineMs = 15_000;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportFatal("bench:latency", error, exitCodeOf);
}

async function main(args: readonly string[]): Promise<number> {
  const line = parseCommandLine(args, help);
  if (line.help) {
    process.stdout.write(formatHelp(help));
    return exitCodes.ok;
  }
  const missing = namespacesMissing("nft");
  if (missing !== false) throw new Fleet2banError("unavailable", `bench:latency ${missing}`);
  const bans = Math.min(5000, Number(line.text("bans") ?? 200));
  await using fleet = await openLiveFleet({
    hosts: Number(line.text("hosts") ?? 3),
    namespaces: true,
    jailLocal: jail,
  });
  const { network, hosts } = fleet;
  const [first, ...others] = hosts;
  if (network === null || first === undefined) throw new Error("no hosts");
  await using peers = new AsyncDisposableStack();
  for (const { place } of hosts) if (place !== null) await peers.use(openPeer(place)).serve([sshPort]);
  const attacker = peers.use(openPeer(network.attacker));
  const same: number[] = [];
  const other: number[] = [];
  for (let index = 1; index <= bans; index += 1) {
    // A network of its own for each, or the fourth would already be banned with the others' network.
    const address = `2001:db8:${index.toString(16)}::1`;
    network.attacker.addAddress(address);
    first.append(...[1, 2, 3].map(() => failedLogin(first.name, address, Date.now())));
    const startedMs = performance.now();
    const times = await Promise.all(hosts.map((host) => droppedAfter(attacker, address, host, startedMs)));
    same.push(times[0] ?? 0);
    other.push(...times.slice(1));
    if (!line.on("json")) process.stdout.write(`${address}: ${times.map((time) => time.toFixed(1)).join(" ")} ms\n`);
  }
  const result = {
    bans,
    hosts: hosts.length,
    sameHostP50Ms: percentile(same, 50),
    sameHostP99Ms: percentile(same, 99),
    otherHostsP50Ms: percentile(other, 50),
    otherHostsP99Ms: percentile(other, 99),
  };
  process.stdout.write(
    `${JSON.stringify(others.length === 0 ? { ...result, otherHostsP50Ms: null, otherHostsP99Ms: null } : result)}\n`,
  );
  return exitCodes.ok;
}

/** Start of the first connection attempt that got no answer; attempts follow each other without a pause. */
async function droppedAfter(peer: TrafficPeer, address: string, host: LiveHost, startedMs: number): Promise<number> {
  let droppedMs = 0;
  const isDropped = async () => {
    for (;;) {
      const triedMs = performance.now();
      if ((await peer.knock(address, host.place?.ipv6 ?? "", sshPort)) !== "answered") {
        droppedMs = triedMs - startedMs;
        return true;
      }
      if (triedMs - startedMs > dropDeadlineMs) return false;
    }
  };
  await waitFor(isDropped, `${host.name} to drop packets of ${address}`, dropDeadlineMs);
  return droppedMs;
}

function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((one, two) => one - two);
  const index = Math.min(sorted.length - 1, Math.ceil((percent / 100) * sorted.length) - 1);
  return Math.round((sorted[Math.max(0, index)] ?? 0) * 10) / 10;
}
