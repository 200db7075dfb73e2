/**
 * The one contract between the agent and a firewall. A backend obeys: what to ban is decided before it is asked.
 *
 * A backend may assume: nets are canonical and masked; nothing never-listed, reserved or too wide reaches it; calls
 * come one at a time (`firewall-queue.ts` sees to it). It must be idempotent: every call may be repeated after a crash.
 * The agent's store is the truth and the kernel a cache, so `replaceAll` must always be able to repair everything.
 */
export type FirewallBackend = Readonly<{
  name: "nftables" | "ipset" | "firewalld" | "ufw" | "observe";
  /** False when packets are not really stopped; the agent then says so on every surface. */
  enforcing: boolean;
  /** Makes the table and chains, keeps elements that are already there. */
  open(setup: FirewallSetup): Promise<void>;
  /** One transaction per at most `batchElementsMax`; what is refused comes back with its reason, the rest stands. */
  apply(change: FirewallChange): Promise<ApplyResult>;
  /** The allow sets and then the whole wanted set, in place of whatever is there. */
  replaceAll(wanted: Iterable<Element>, setup: FirewallSetup): Promise<ApplyResult>;
  /** Cheap. `missing`: our table is gone (a foreign flush); `tampered`: it is not as we made it. */
  health(): Promise<"ok" | "missing" | "tampered">;
  /** Packets and bytes stopped since the last call. */
  counters(): Promise<readonly Counter[]>;
  /** What the kernel holds, for audits and tests; expensive. */
  list(): Promise<readonly ListedElement[]>;
  /** Removes all of ours and nothing else. Only for uninstalling: stopping the agent keeps the bans. */
  teardown(): Promise<void>;
}>;

export type Verdict = "drop" | "reject";

export type FirewallSetup = Readonly<{
  verdict: Verdict;
  /** Never stopped, whatever is banned: addresses and networks. */
  allow: readonly string[];
}>;

/** One net to stop, on all ports or on some. Elements with different `ports` are different elements. */
export type Element = Readonly<{
  /** `192.0.2.1` or `192.0.2.0/24`, canonical. */
  net: string;
  /** null = every port. A port counts for TCP and UDP. */
  ports: readonly number[] | null;
  /** null = until removed. The kernel's timeout is computed from it when it is written, so a ban ends without the agent. */
  untilMs: number | null;
}>;

export type FirewallChange = Readonly<{ add: readonly Element[]; remove: readonly Pick<Element, "net" | "ports">[] }>;

export type ApplyResult = Readonly<{ applied: number; rejected: readonly Readonly<{ net: string; reason: string }>[] }>;

export type Counter = Readonly<{ name: string; packets: number; bytes: number }>;

export type ListedElement = Readonly<{ net: string; port: number | null; expiresInMs: number | null }>;
