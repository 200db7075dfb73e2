import type { Net } from "../../shared/address.ts";
import type { Scope, UnbanReason } from "../../shared/order.ts";

/**
 * The coordinator's judgement as a state machine without clock or I/O: facts in, decisions out, in the order they
 * happen. `fleet2ban replay` and the running coordinator drive the same machine; only the source of facts differs.
 */
export type Fact =
  | FailureFact
  | TenantFact
  /** `tenant` null = the whole fleet. `add` false takes it back. */
  | Readonly<{ kind: "allow"; net: string; tenant: string | null; add: boolean }>
  | Readonly<{ kind: "never"; net: string; add: boolean }>
  /** By hand. `banTimeMs` null = for ever. `approved`: a second admin agreed to one wider than one admin may ban. */
  | Readonly<{
      kind: "ban";
      net: string;
      scope: Scope;
      banTimeMs: number | null;
      ports: readonly number[] | null;
      approved?: boolean;
    }>
  /**
   * By hand: every standing ban of exactly this net in this scope; with `id`, that one only. When none stands and the
   * reason is `false-positive`, it is about the ones that have ended: they count no more.
   */
  | Readonly<{ kind: "unban"; net: string; scope: Scope; reason: UnbanReason; id?: number }>
  /** A feed lists this net. Banned for the fleet unless a list forbids it or it is too wide: then nothing is decided. */
  | Readonly<{ kind: "feed"; feed: string; net: string; untilMs: number }>
  /** By hand: what the brake held is banned now (`release`) or forgotten (`drop`). */
  | Readonly<{ kind: "release" | "drop"; net: string; scope: Scope }>
  /** A quarantined host's failures are evidence only; a quarantined tenant (`host` null) has no vote. */
  | Readonly<{ kind: "quarantine"; tenant: string; host: string | null; on: boolean }>
  | Readonly<{ kind: "tick" }>;

export type FailureFact = Readonly<{
  kind: "failure";
  /** The log's own date. It may be late, out of order or in the future (then it counts as now). */
  atMs: number;
  tenant: string;
  host: string;
  jail: string;
  /** As the agent wrote it; not an address = dropped. */
  address: string;
  /** The address, if it has been read already. */
  read?: Net | undefined;
  count: number;
  /** The coordinator that took it in has held it against the host's limits. */
  admitted?: boolean;
}>;
/** `createdAtMs` -Infinity = older than every age limit. */
export type TenantFact = Readonly<{ kind: "tenant"; tenant: string; trust: Trust; createdAtMs: number }>;

/** `full`: the operator's own hosts, whose incidents ban fleet-wide. `vote`: a customer, whose incidents are votes. */
export type Trust = "full" | "vote";

export type Decision = BanDecision | UnbanDecision | MistakeDecision | StoppedDecision | QuarantineDecision;

/** A ban to commit and to send. The judge numbers bans (`id`), so that a later `unban` names exactly this one. */
export type BanDecision = Readonly<{
  kind: "ban";
  id: number;
  atMs: number;
  /** Canonical, with its length. */
  net: string;
  scope: Scope;
  /** null for a ban by hand or of a feed. */
  level: number | null;
  untilMs: number | null;
  ports: readonly number[] | null;
  reason: BanReason;
  evidence: Evidence;
  /** Whether this tenant ban is a vote for a fleet ban. To be stored: `Memory.bans` gives it back. */
  vote: boolean;
}>;
export type UnbanDecision = Readonly<{
  kind: "unban";
  id: number;
  atMs: number;
  net: string;
  scope: Scope;
  reason: UnbanReason;
  /** The feed whose ban it was. */
  feed?: string;
}>;
/** An automatic ban that had ended already was a mistake. Its end stays; to be stored as its reason: `false-positive`. */
export type MistakeDecision = Readonly<{ kind: "mistake"; id: number; atMs: number; net: string; scope: Scope }>;
/** A ban that was due or asked for and was not made: the brake `held` it for an admin, or it is `refused` for good. */
export type StoppedDecision = Readonly<{
  kind: "held" | "refused";
  atMs: number;
  net: string;
  scope: Scope;
  why: string;
  /** As the ban would have had them, at level 0. */
  ports: readonly number[] | null;
  reason: BanReason;
  evidence: Evidence;
  /** The tenant whose failures of `net` up to `atMs` are settled by this; null when none are. See `Memory.settled`. */
  tenant: string | null;
}>;
/** The host reported more subjects than the policy's limit; its failures are evidence only until an admin lifts it. */
export type QuarantineDecision = Readonly<{
  kind: "quarantine";
  atMs: number;
  tenant: string;
  host: string;
  why: string;
}>;

/** `jail sshd`, or what else led to the ban. */
export type BanReason = RuleReason | "admin" | `feed ${string}`;
/** Which of the policy's rules banned it. */
export type RuleReason = `jail ${string}` | "spread" | "votes" | "network";
export type Evidence = Readonly<{
  hosts: number;
  tenants: number;
  failures: number;
  /** Which hosts, as `tenant/host`, sorted; at most `sourcesMax` of them. */
  sources: readonly string[];
}>;

/**
 * What became of a failure. Only `fleet` and `tenant` ones count (`tenant`: a fleet allow covers the address, so it may
 * lead to a tenant ban but neither to a vote nor to a fleet ban); the rest is evidence, or dropped (`invalid`,
 * `reserved`, `never`). `elsewhere`: to be judged, `admitted`, by the coordinator that owns the subject.
 */
export type Weight =
  | "fleet"
  | "tenant"
  | "banned"
  | "quarantined"
  | "allowed"
  | "late"
  | "elsewhere"
  | "invalid"
  | "reserved"
  | "never";

/** `weight` is null for facts other than failures. */
export type Outcome = Readonly<{ decisions: readonly Decision[]; weight: Weight | null }>;

export type Judge = Readonly<{
  /**
   * Takes one fact and says what follows from it. Expiries due by `nowMs` come first, at their own time.
   *
   * @param nowMs  the coordinator's clock (in a replay: the event's time). It never goes back: an earlier value counts
   *               as the latest one seen
   * @throws Fleet2banError `invalid` when an admin's net cannot be read
   */
  apply(fact: Fact, nowMs: number): Outcome;
  /** Another judge of the same fleet did this, and it is committed: this one remembers it, and decides nothing. */
  follow(deed: Deed): void;
  /** A turn begins. @returns the last number given to a ban; those made from now on count from there */
  begin(): number;
  /** Numbers the bans made in this turn anew, after `lastBanId`, in their order. */
  renumber(lastBanId: number): void;
  /** Decides about fewer partitions from now on. For more it takes a new judge: this one has not seen their failures. */
  keepOnly(share: ReadonlySet<number>): void;
  /** The partition of what is counted for this address; undefined when it is none. */
  partitionOf(address: string): number | undefined;
  /** Whether this judge counts the failures of this address. */
  owns(address: string): boolean;
  /** Automatic fleet bans of the last minute and what the brake allows. */
  brake(nowMs: number): Readonly<{ count: number; limit: number }>;
  /** Why a ban by hand would be refused, for a dry run; undefined when it would be made. */
  whyRefused(net: string, scope: Scope, approved?: boolean): string | undefined;
  /** Why one admin alone may neither ban nor allow this network for everybody; undefined when one may. */
  whyTooWide(net: string): string | undefined;
  /**
   * Everything an admin asks about one address: what stands, what is counted, what would happen next.
   *
   * @param counted  what the database remembers of its failures, when another judge decides about it
   */
  explain(address: string, nowMs: number, counted?: Counted): Explanation;
  /** What the brake holds, oldest first, without what an allow or a never forbids by now. */
  held(): readonly StoppedDecision[];
  size(): Readonly<{ subjects: number; bans: number; standing: number; held: number }>;
}>;

/** What one judge did in one turn that others must know: facts that hold for all, and what was decided. */
export type Deed = Readonly<{ atMs: number; facts: readonly Fact[]; decisions: readonly Decision[] }>;

export type Counted = Pick<Memory, "failures" | "settled">;

/**
 * What a database must give back so that a new judge decides as the old one would have. Nothing else is needed, and
 * rows beyond the stated horizons do no harm. A judge whose transaction failed is thrown away and rebuilt the same way.
 */
export type Memory = Readonly<{
  tenants: Iterable<TenantFact>;
  /** Standing entries only. */
  allows: Iterable<Readonly<{ net: string; tenant: string | null }>>;
  nevers: Iterable<Readonly<{ net: string }>>;
  /** Hosts and tenants (`host` null) that are or were quarantined. `liftedAtMs`: when an admin last lifted it, else null. */
  quarantines: Iterable<Readonly<{ tenant: string; host: string | null; on: boolean; liftedAtMs: number | null }>>;
  /** Every ban that stands or started within `horizonsOf(policy).bansMs`, by hand ones included; any order. */
  bans: Iterable<RememberedBan>;
  /** Failures of weight `fleet` or `tenant`, dated within `horizonsOf(policy).failuresMs`; any order, exact times. */
  failures: Iterable<RememberedFailure>;
  /**
   * From every `held` or `refused` decision whose `tenant` is not null, within `horizonsOf(policy).failuresMs`: that
   * tenant's failures of `net` dated up to `atMs` no longer count. (A ban settles by itself.)
   */
  settled: Iterable<Readonly<{ tenant: string; net: string; atMs: number }>>;
  /** The last `held` decision of each net and scope, unless it was released or dropped or a ban of both came later. */
  held: Iterable<StoppedDecision>;
  /** The greatest ban id ever given, also of bans that are forgotten by now; 0 when there was none. */
  lastBanId: number;
}>;

export type RememberedBan = Readonly<{
  id: number;
  net: string;
  scope: Scope;
  level: number | null;
  startMs: number;
  untilMs: number | null;
  /** When it expired or was lifted; null while it stands. */
  endMs: number | null;
  endReason: UnbanReason | null;
  ports: readonly number[] | null;
  reason: BanReason;
  evidence: Evidence;
  vote: boolean;
}>;

export type RememberedFailure = Readonly<{
  weight: "fleet" | "tenant";
  /** The date it counted at: its own, or that of its arrival when it came from the future. Rows may add up per second. */
  atMs: number;
  tenant: string;
  host: string;
  jail: string;
  /** Canonical, as `subjectOf` gives it; an address is as good. */
  net: string;
  count: number;
}>;

export type Explanation = Readonly<{
  /** What is counted and banned for this address, canonical. */
  net: string;
  /** The entries that protect it, with their lists. */
  protectedBy: readonly Readonly<{ list: "reserved" | "never" | "allow"; net: string; tenant: string | null }>[];
  /** Bans that cover it: standing first, then ended, newest first. */
  bans: readonly RememberedBan[];
  /** What counts at `nowMs`, by tenant. */
  windows: readonly WindowExplanation[];
  /** What the next automatic ban would be, by scope: first the fleet, then tenants that hold failures or bans of it. */
  next: readonly Readonly<{ scope: Scope; level: number; banTimeMs: number }>[];
  votes: Readonly<{ tenants: readonly string[]; needed: number }>;
}>;
export type WindowExplanation = Readonly<{
  tenant: string;
  /** null = the spread window. */
  jail: string | null;
  /** Failures in the jail's window, or distinct hosts in the spread window. */
  reached: number;
  needed: number;
  hosts: readonly string[];
  oldestMs: number;
  newestMs: number;
}>;
