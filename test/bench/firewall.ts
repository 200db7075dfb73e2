import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Element, elementKey, noChange } from "../../agent/firewall/firewall.ts";
import { FirewallQueue } from "../../agent/firewall/firewall-queue.ts";
import { nftablesBackend } from "../../agent/firewall/nftables.ts";
import { findProgram, type RunCommand } from "../../agent/firewall/run-command.ts";
import { namespacesMissing, openNetwork, type TestHost } from "../support/namespaces.ts";
import { openPeer, type TrafficPeer } from "../support/traffic.ts";

const help = `usage: bench:firewall [--elements N] [--changes N] [--json]

Loads bans into nftables in a network namespace of its own and measures what nft costs. Needs root and nftables.

options:
  --elements N  bans to load (default 100000)
  --changes N   single bans and unbans measured on top of them (default 100)
  --json        only one JSON line at the end
  --help        this text
`;

const { values } = parseArgs({
  options: {
    elements: { type: "string", default: "100000" },
    changes: { type: "string", default: "100" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const burst = 11_000;
const hourMs = 3_600_000;

if (values.help) process.stdout.write(help);
else process.exitCode = await main(Number(values.elements), Number(values.changes));

async function main(elements: number, changes: number): Promise<number> {
  const missing = namespacesMissing("nft");
  if (missing !== false || !Number.isInteger(elements) || !Number.isInteger(changes) || elements < 1 || changes < 1) {
    process.stderr.write(missing === false ? help : `bench:firewall ${missing}\n`);
    return missing === false ? 64 : 69;
  }
  using network = openNetwork(1);
  const [host] = network.hosts;
  if (host === undefined) return 1;
  await using server = openPeer(host);
  await using attacker = openPeer(network.attacker);
  await server.serve([22]);
  const result = await measure(host, attacker, elements, changes, (address) => network.attacker.addAddress(address));
  if (!values.json)
    for (const [name, value] of Object.entries(result)) process.stdout.write(`${name.padEnd(16)} ${value}\n`);
  process.stdout.write(`${JSON.stringify(result)}\n`);
  return 0;
}

async function measure(
  host: TestHost,
  attacker: TrafficPeer,
  elements: number,
  changes: number,
  addAddress: (address: string) => void,
) {
  const peak = { rssKb: 0, watching: true };
  const backend = nftablesBackend(watchMemory(host.run, peak), findProgram("nft") ?? "nft", Date.now);
  const wanted = new Map<string, Element>();
  const setup = () => ({ verdict: "drop" as const, allow: [] });
  const queue = new FirewallQueue({ backend, setup, wanted: () => wanted.values() });
  const untilMs = Date.now() + hourMs;
  const ban = (index: number): Element => ({ net: address(index), ports: null, untilMs });
  const want = (each: Element) => {
    wanted.set(elementKey(each), each);
    return each;
  };
  for (let index = 0; index < elements; index += 1) want(ban(index));

  const loadFrom = childCpuMs();
  const loadStart = performance.now();
  await queue.open();
  const loadMs = performance.now() - loadStart;
  const loadCpuMs = childCpuMs() - loadFrom;
  const loadRssMb = peak.rssKb / 1024;
  peak.watching = false;

  const oneMs: number[] = [];
  const unbanMs: number[] = [];
  const oneFrom = childCpuMs();
  for (let index = 0; index < changes; index += 1) {
    const start = performance.now();
    await queue.submit({ ...noChange, add: [want(ban(elements + index))] });
    oneMs.push(performance.now() - start);
  }
  const oneMoreCpuMs = (childCpuMs() - oneFrom) / changes;
  const unbanFrom = childCpuMs();
  for (let index = 0; index < changes; index += 1) {
    wanted.delete(address(elements + index));
    const start = performance.now();
    await queue.submit({ ...noChange, remove: [ban(elements + index)] });
    unbanMs.push(performance.now() - start);
  }
  const unbanCpuMs = (childCpuMs() - unbanFrom) / changes;

  const burstStart = performance.now();
  await Promise.all(
    Array.from({ length: burst }, (_, index) =>
      queue.submit({ ...noChange, add: [want(ban(elements + changes + index))] }),
    ),
  );
  const burst11kMs = performance.now() - burstStart;

  const healthFrom = childCpuMs();
  const healthRuns = 20;
  for (let times = 0; times < healthRuns; times += 1) await queue.check();
  const healthCpuMs = (childCpuMs() - healthFrom) / healthRuns;

  const leaks = await countLeaks(host, attacker, queue, addAddress);
  const wrong = await countWrong(host, attacker, elements, addAddress);
  await queue.close();
  for (const list of [oneMs, unbanMs]) list.sort((one, other) => one - other);
  const at = (list: readonly number[], share: number) =>
    round(list[Math.min(list.length - 1, Math.floor(list.length * share))] ?? 0);
  return {
    elements,
    loadMs: round(loadMs),
    loadCpuSeconds: round(loadCpuMs / 1000),
    loadRssMb: round(loadRssMb),
    oneMoreCpuMs: round(oneMoreCpuMs),
    oneMoreP50Ms: at(oneMs, 0.5),
    oneMoreP99Ms: at(oneMs, 0.99),
    unbanCpuMs: round(unbanCpuMs),
    unbanP99Ms: at(unbanMs, 0.99),
    burst11kMs: round(burst11kMs),
    healthCpuMs: round(healthCpuMs),
    leaks,
    wrong,
  };
}

/** Connections of banned addresses that still got through after the ban was said to be in force. */
async function countLeaks(
  host: TestHost,
  attacker: TrafficPeer,
  queue: FirewallQueue,
  addAddress: (address: string) => void,
): Promise<number> {
  let leaks = 0;
  for (let index = 1; index <= 10; index += 1) {
    const from = `192.0.2.${index}`;
    addAddress(from);
    const established = await attacker.connect(from, host.ipv4, 22);
    await queue.submit({ ...noChange, add: [{ net: from, ports: null, untilMs: null }] });
    if ((await established.echo()) === "answered") leaks += 1;
    if ((await attacker.knock(from, host.ipv4, 22)) === "answered") leaks += 1;
  }
  return leaks;
}

/** Of the first, the last and eight more loaded bans, and of as many neighbours outside: those that fare as they should not. */
async function countWrong(
  host: TestHost,
  attacker: TrafficPeer,
  elements: number,
  addAddress: (address: string) => void,
): Promise<number> {
  await host.run(["ip", "route", "add", "10.0.0.0/8", "dev", "eth0"]);
  await host.run(["ip", "route", "add", "11.0.0.0/8", "dev", "eth0"]);
  let wrong = 0;
  for (let step = 0; step < 10; step += 1) {
    const banned = address(Math.floor(((elements - 1) * step) / 9));
    for (const [from, right] of [
      [banned, "silent"],
      [banned.replace(/^10/, "11"), "answered"],
    ] as const) {
      addAddress(from);
      if ((await attacker.knock(from, host.ipv4, 22)) !== right) wrong += 1;
    }
  }
  return wrong;
}

/** Not on the internet and not in the documentation: the kernel does not care, and the attackers stay distinct. */
function address(index: number): string {
  return `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
}

/** CPU of ended children of this process, in ms. Source: proc(5), cutime and cstime, in ticks of 10 ms. */
function childCpuMs(): number {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

/** Reads the largest resident size of running nft processes, every few ms while it is asked to. */
function watchMemory(run: RunCommand, peak: { rssKb: number; watching: boolean }): RunCommand {
  return async (command, stdin) => {
    if (!peak.watching) return run(command, stdin);
    const timer = setInterval(() => {
      for (const pid of childPids()) peak.rssKb = Math.max(peak.rssKb, largestRssKb(pid));
    }, 3);
    try {
      return await run(command, stdin);
    } finally {
      clearInterval(timer);
    }
  };
}

function childPids(): readonly string[] {
  return readdirSync("/proc/self/task").flatMap((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/children`, "utf8").split(" ").filter(Boolean);
    } catch {
      return [];
    }
  });
}

function largestRssKb(pid: string): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return /^Name:\s+nft$/m.test(status) ? Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) : 0;
  } catch {
    return 0;
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
