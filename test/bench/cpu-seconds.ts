import { readdirSync, readFileSync } from "node:fs";

/** Kernel ticks per second, as /proc counts them. The same on every Linux we know. Source: proc(5), `sysconf(_SC_CLK_TCK)`. */
const ticksPerSecond = 100;

/** CPU seconds a process has used, with those of its children that have ended; 0 when it is gone. */
export function cpuSeconds(pid: number): number {
  const { own, children } = cpuSecondsApart(pid);
  return own + children;
}

/** The same, apart: its own, and its ended children's. */
export function cpuSecondsApart(pid: number): Readonly<{ own: number; children: number }> {
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = statOf(pid).slice(11, 15).map(Number);
  return { own: (user + system) / ticksPerSecond, children: (childUser + childSystem) / ticksPerSecond };
}

/** The same without its children: a server that was killed would be counted with the coordinator that ran it. */
export function ownCpuSeconds(pid: number): number {
  const fields = statOf(pid);
  return fields.slice(11, 13).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond;
}

/** CPU seconds of a process and all its living descendants. */
export function cpuSecondsOfTree(pid: number): number {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const child = Number(name);
    if (!Number.isInteger(child)) continue;
    const parent = Number(statOf(child)[1]);
    children.set(parent, [...(children.get(parent) ?? []), child]);
  }
  const ofTree = (root: number): number =>
    (children.get(root) ?? []).reduce((sum, child) => sum + ofTree(child), cpuSeconds(root));
  return ofTree(pid);
}

/** Resident memory in MB: now, and the highest it ever was. */
export function memoryMb(pid: number): Readonly<{ rssMb: number; peakMb: number }> {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const read = (name: string) =>
    Math.round(Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0) / 1024);
  return { rssMb: read("VmRSS"), peakMb: read("VmHWM") };
}

/** The fields of /proc/<pid>/stat after the program's name, which may hold anything: state first. */
function statOf(pid: number): readonly string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}
