import { execFileSync, type SpawnOptions, spawn } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { commandRunner, type RunCommand } from "../../agent/firewall/run-command.ts";

/**
 * Hosts and an attacker as network namespaces, joined by a bridge in a namespace of its own, so that nothing is made in
 * the machine's own network. Every documentation range is on the one link, so an address can be given to anyone.
 */
export type TestNetwork = Readonly<{
  hosts: readonly TestHost[];
  attacker: TestHost;
  [Symbol.dispose](): void;
}>;

export type TestHost = Readonly<{
  /** Of the namespace. */
  name: string;
  /** `198.51.100.<number>` and `2001:db8::<number>`. */
  ipv4: string;
  ipv6: string;
  /** Words before a command that shall run inside. */
  prefix: readonly string[];
  run: RunCommand;
  /** More addresses of this host, for example other attackers. */
  addAddress(...addresses: readonly string[]): void;
  /** Starts a program inside; it is ended with the network. */
  spawn(command: readonly string[], options?: SpawnOptions): ReturnType<typeof spawn>;
}>;

const folder = "/run/netns";
const namePattern = /^f2b-(\d+)-/;
let count = 0;

/** Why tests with namespaces cannot run here, for `skip`; false when they can. */
export function namespacesMissing(...programs: readonly string[]): string | false {
  if (process.getuid?.() !== 0) return "needs root for network namespaces";
  for (const program of ["ip", "nsenter", ...programs]) {
    try {
      execFileSync("sh", ["-c", `PATH=$PATH:/usr/sbin:/sbin command -v ${program}`], { stdio: "ignore" });
    } catch {
      return `needs the program ${program}`;
    }
  }
  try {
    const probe = `f2b-${process.pid}-probe`;
    ip("netns", "add", probe);
    ip("netns", "del", probe);
    return false;
  } catch (error) {
    return `needs network namespaces: ${String(error).slice(0, 200)}`;
  }
}

/** @param hostCount  hosts, numbered from 1; the attacker is number 200 */
export function openNetwork(hostCount: number): TestNetwork {
  removeStale();
  count += 1;
  const names: string[] = [];
  const remove = () => {
    process.off("exit", remove);
    for (const name of names.splice(0)) removeNamespace(name);
  };
  // A test that dies without disposing still cleans up; one that is killed is cleaned up after by the next.
  process.on("exit", remove);
  const make = (label: string): string => {
    const name = `f2b-${process.pid}-${count}-${label}`;
    ip("netns", "add", name);
    names.push(name);
    return name;
  };
  try {
    const bridge = make("bridge");
    ipBatch(bridge, ["link set lo up", "link add br0 type bridge", "link set br0 up"]);
    const join = (label: string, number: number) => joinHost(make(label), bridge, number);
    const hosts = Array.from({ length: hostCount }, (_, index) => join(`host${index + 1}`, index + 1));
    return { hosts, attacker: join("attacker", 200), [Symbol.dispose]: remove };
  } catch (error) {
    remove();
    throw error;
  }
}

function joinHost(name: string, bridge: string, number: number): TestHost {
  const ipv4 = `198.51.100.${number}`;
  const ipv6 = `2001:db8::${number}`;
  ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", `port${number}`, "netns", bridge);
  ip("-n", bridge, "link", "set", `port${number}`, "master", "br0", "up");
  const given = (address: string) => {
    const [bits, flags] = address.includes(":") ? ["/128", "nodad"] : ["/32", ""];
    return `addr add ${address}${bits} dev eth0 ${flags}`;
  };
  ipBatch(name, [
    ...["link set lo up", given(ipv4), given(ipv6), "link set eth0 up"],
    ...["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"].map((net) => `route add ${net} dev eth0 src ${ipv4}`),
    `route add 2001:db8::/32 dev eth0 src ${ipv6}`,
  ]);
  // Not `ip netns exec`, which also makes a mount namespace: several milliseconds more per command.
  const prefix = ["nsenter", `--net=${folder}/${name}`];
  return {
    name,
    ipv4,
    ipv6,
    prefix,
    run: commandRunner(prefix),
    addAddress: (...addresses) => ipBatch(name, addresses.map(given)),
    spawn: ([program = "", ...args], options = {}) =>
      spawn("nsenter", [`--net=${folder}/${name}`, program, ...args], options),
  };
}

/** One process for all of it: starting one takes longer than what it does. */
function ipBatch(name: string, lines: readonly string[]): void {
  execFileSync("ip", ["-n", name, "-batch", "-"], { input: lines.join("\n"), stdio: ["pipe", "ignore", "pipe"] });
}

function ip(...args: readonly string[]): string {
  return execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Ends what runs inside and then the namespace: only ever one of ours, whose name says so. */
function removeNamespace(name: string): void {
  if (!namePattern.test(name)) return;
  try {
    for (const pid of ip("netns", "pids", name).split("\n").filter(Boolean)) process.kill(Number(pid), "SIGKILL");
  } catch {
    // It ended by itself.
  }
  try {
    ip("netns", "del", name);
  } catch {
    rmSync(`${folder}/${name}`, { force: true });
  }
}

function removeStale(): void {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    return;
  }
  for (const name of names) {
    const pid = namePattern.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) removeNamespace(name);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
