/**
 * The one contract between the agent and a firewall. A backend obeys: what to ban is decided before it is asked.
 *
 * A backend may assume: nothing never-listed, reserved or too wide reaches it; what changes the firewall comes one call
 * at a time (`firewall-queue.ts` sees to it), while `counters` and `holds` may be asked meanwhile. It must be idempotent: every call may be repeated after a crash. The agent's store
 * is the truth and the kernel a cache, so `replaceAll` must always be able to repair everything.
 */
export type FirewallBackend = Readonly<{
  name: "nftables" | "ipset" | "firewalld" | "ufw" | "observe";
  /** False when packets are not really stopped; the agent then says so on every surface. */
  enforcing: boolean;
  /** The kernel ends a ban by itself. Otherwise a ban ends when the agent removes it, so a dead agent bans on. */
  endsBans: boolean;
  /** How often `health` is worth its cost. */
  healthEveryMs: number;
  /** What this backend does worse than nftables, in sentences for the operator; empty for nftables. */
  warnings: readonly string[];
  /** Makes tables, rules and the allow sets as `setup` says, keeps the bans that are there. Also how `setup` is changed later. */
  open(setup: FirewallSetup): Promise<void>;
  /**
   * Transactions of at most `batchElementsMax`; what is refused comes back with its reason, the rest stands.
   *
   * @throws Fleet2banError `unavailable` when nothing can be applied because our table is gone or the tool fails
   */
  apply(change: FirewallChange): Promise<ApplyResult>;
  /** Everything as `setup` says and then the whole wanted set, in place of whatever is there. Reads `wanted` before it waits for anything. */
  replaceAll(wanted: Iterable<Element>, setup: FirewallSetup): Promise<ApplyResult>;
  /** Cheap. `missing`: our table is gone (a foreign flush); `tampered`: it is not as we made it. */
  health(): Promise<Health>;
  /** Packets and bytes stopped since the last call. */
  counters(): Promise<readonly Counter[]>;
  /**
   * Whether the kernel holds this one now; absent where asking costs more than a process.
   *
   * @throws Fleet2banError `unavailable` when it does not say
   */
  holds?(element: ElementName): Promise<boolean>;
  /** What the kernel holds, for audits and tests; expensive. */
  list(): Promise<readonly ListedElement[]>;
  /** Removes all of ours and nothing else. Only for uninstalling: stopping the agent keeps the bans. */
  teardown(): Promise<void>;
}>;

export type Health = "ok" | "missing" | "tampered";
export type Verdict = "drop" | "reject";

export type FirewallSetup = Readonly<{
  verdict: Verdict;
  /** Never stopped, whatever is banned: addresses and networks. */
  allow: readonly string[];
}>;

/** One net to stop, on all ports or on some. Elements with different `ports` are different elements. */
export type Element = Readonly<{
  /** `192.0.2.1/32`, `192.0.2.1` or `192.0.2.0/24`. */
  net: string;
  /** null = every port. A port counts for TCP and UDP. */
  ports: readonly number[] | null;
  /** null = until removed. The kernel's timeout is computed from it when it is written, so a ban ends without the agent. */
  untilMs: number | null;
}>;

/** Which element is meant, whatever its end. */
export type ElementName = Pick<Element, "net" | "ports">;

export type FirewallChange = Readonly<{
  /** Certainly not there yet: written the fast way, which must not be used to change an end. */
  add: readonly Element[];
  /** May be there with another end. */
  renew: readonly Element[];
  /** May be gone already. */
  remove: readonly ElementName[];
}>;

export type ApplyResult = Readonly<{ applied: number; rejected: readonly Rejected[] }>;
export type Rejected = Readonly<{ net: string; reason: string }>;
export type Counter = Readonly<{ name: string; packets: number; bytes: number }>;
export type ListedElement = Readonly<{ net: string; port: number | null; expiresInMs: number | null }>;

export const noChange: FirewallChange = { add: [], renew: [], remove: [] };

/** The name of an element as one text, for maps. The net itself when all ports are meant, to share its memory. */
export function elementKey(element: ElementName): string {
  return element.ports === null ? element.net : `${element.net} ${element.ports.join(",")}`;
}
