import type { BlockedCounts } from "../../shared/firewall-lists.ts";
import type { Trust } from "../domain/judge.ts";
import type { AddressHome, HomeSource } from "../geo/address-home.ts";
import type { BanView, PageQuery, RuleKind, RuleView } from "./desk.ts";

/** How a write is to be done. Every field may be left out. */
export type WriteOptions = Readonly<{
  /** Checks everything and says what would happen, and changes nothing. */
  dryRun?: boolean | undefined;
  /** Why, in the asker's own words: for the audit log. */
  reason?: string | null | undefined;
  /** The `etag` of what the asker saw; when it has changed since, the write is refused (`StaleError`). */
  ifMatch?: string | undefined;
  /** Of an unban: how long to wait until connected hosts have carried it out, before the answer says who has. */
  waitMs?: number | undefined;
}>;

export type HostQuery = PageQuery &
  Readonly<{
    tenant?: string | undefined;
    state?: "active" | "quarantined" | "revoked" | undefined;
    /** Part of the host's name or label. */
    search?: string | undefined;
    /** Only hosts that are away, behind, not enforcing, quarantined or report problems. */
    troubled?: boolean | undefined;
  }>;
/** What is not named stays as it is. */
export type HostChange = Readonly<{
  quarantined?: boolean | undefined;
  observe?: boolean | undefined;
  contribute?: boolean | undefined;
  label?: string | null | undefined;
  tenant?: string | undefined;
}>;

export type TenantChange = Readonly<{ trust?: Trust | undefined; quarantined?: boolean | undefined }>;

export type FailureQuery = PageQuery &
  Readonly<{
    /** An address or network: failures of addresses inside it. */
    net?: string | undefined;
    tenant?: string | undefined;
    host?: string | undefined;
    jail?: string | undefined;
    /** Only those that arrived in the last so many milliseconds (default: an hour). */
    withinMs?: number | undefined;
  }>;

export type Explanation = Readonly<{
  address: string;
  banned: boolean;
  /** One sentence a person can read out on the telephone. */
  summary: string;
  bans: readonly (BanView &
    Readonly<{ inForceOn: Readonly<{ applied: number; total: number }>; mayBeLiftedBy: string }>)[];
  localBans: readonly Readonly<{
    host: string;
    tenant: string;
    jail: string;
    net: string;
    startedMs: number;
    untilMs: number | null;
  }>[];
  rules: readonly (RuleView & Readonly<{ kind: RuleKind }>)[];
  history: readonly BanView[];
  evidence: readonly Readonly<{
    tenant: string;
    host: string;
    jail: string;
    failures: number;
    firstMs: number;
    lastMs: number;
  }>[];
  nextLevel: string;
  home: AddressHome & Readonly<{ sources: readonly HomeSource[] }>;
}>;

/** A window that was full: what came of it. */
export type IncidentView = Readonly<{
  atMs: number;
  outcome: "banned" | "held" | "refused";
  net: string;
  scope: string;
  reason: string;
  /** Of what was not banned. */
  why: string | null;
  banId: number | null;
  level: number | null;
  evidence: BanView["evidence"];
}>;

/** A ban the brake stopped, waiting for an admin. */
export type HeldView = Readonly<{
  id: number;
  atMs: number;
  net: string;
  scope: string;
  why: string;
  reason: string;
  ports: readonly number[] | null;
  evidence: BanView["evidence"];
}>;

/** What one admin wants and a second one must agree to. */
export type ApprovalView = Readonly<{
  id: number;
  kind: "ban" | "allow";
  net: string;
  scope: string;
  /** How long it is to hold, from the approval on; null = for ever. */
  spanMs: number | null;
  ports: readonly number[] | null;
  /** Why one admin is not enough. */
  why: string;
  /** The asker's own words. */
  reason: string;
  askedBy: string;
  askedMs: number;
  untilMs: number;
  state: "waiting" | "approved" | "rejected" | "expired";
  decidedBy: string | null;
  decidedMs: number | null;
  decidedNote: string | null;
  /** The ban, or the entry of the allow list, that came of it. */
  madeId: number | null;
  /** Whether whoever looks at it may approve it. */
  mayApprove: boolean;
}>;
export type ApprovalQuery = PageQuery & Readonly<{ waiting: boolean }>;
/** `made`: it holds. `waits`: it is wider than one admin may make it, and nothing holds until a second one approves. */
export type Outcome<Made> =
  | Readonly<{ kind: "made"; made: Made }>
  | Readonly<{ kind: "waits"; approval: ApprovalView }>;

/** Which standing bans are meant; no field = all of them. */
export type LiftFilter = Readonly<{
  scope?: string | undefined;
  /** This network and everything in it. */
  net?: string | undefined;
  level?: number | undefined;
  jail?: string | undefined;
  reason?: string | undefined;
}>;
export type LiftRequest = Readonly<{
  filter: LiftFilter;
  reason: string;
  /** The newest ban that is meant: what came after the preview stays. */
  upTo?: number | undefined;
  /** How many at once; the oldest first. */
  limit: number;
}>;
/** What was lifted now, and what still matches. In a dry run nothing was lifted and everything remains. */
export type LiftView = Readonly<{
  lifted: number;
  remaining: number;
  /** Send it with the next request. */
  upTo: number;
  byLevel: Readonly<Record<string, number>>;
  /** Of what was lifted now (in a dry run: of what matches), by scope; `lastBan` has the receipt of all of them. */
  scopes: readonly Readonly<{ scope: string; bans: number; lastBan: number; applied: number; total: number }>[];
  /** The newest that match, to look at. */
  sample: readonly BanView[];
}>;

export type PolicyView = Readonly<{
  /** 0 = the built-in policy. */
  version: number;
  /** YAML as it was written; empty for the built-in one. */
  document: string;
  /** Everything that holds, defaults included, as YAML. */
  effective: string;
  createdMs: number | null;
  by: string;
  etag: string;
}>;
export type PolicyVersionView = Readonly<{ version: number; createdMs: number; by: string; current: boolean }>;

/** One automatic ban of a trial. */
export type TrialBan = Readonly<{
  net: string;
  scope: string;
  atMs: number;
  level: number;
  untilMs: number | null;
  reason: string;
}>;
/** Failures judged, of those there are. */
export type TrialProgress = Readonly<{ done: number; total: number }>;
/** What a policy would have done with what was recorded. */
export type PolicyTrial = Readonly<{
  days: number;
  failures: number;
  /** Older failures of the span were left out: there are more than a trial looks at. */
  truncated: boolean;
  fromMs: number;
  bansBefore: number;
  bansAfter: number;
  /** Bans only the new policy makes. `first`: the earliest of them. */
  adds: Readonly<{ count: number; first: readonly TrialBan[] }>;
  /** Bans only the policy in force makes. */
  removes: Readonly<{ count: number; first: readonly TrialBan[] }>;
  /** Made by both, with another length or level. */
  changes: Readonly<{ count: number; first: readonly Readonly<{ before: TrialBan; after: TrialBan }>[] }>;
}>;

export type EnrollmentTokenView = Readonly<{
  id: number;
  tenant: string;
  host: string | null;
  usesLeft: number;
  createdMs: number;
  by: string;
  untilMs: number;
  /** Used up, revoked or over. */
  ended: boolean;
}>;

export type AuditQuery = PageQuery &
  Readonly<{ action?: string | undefined; actor?: string | undefined; target?: string | undefined }>;
export type AuditView = Readonly<{
  sequence: number;
  atMs: number;
  actor: string;
  action: string;
  target: string;
  /** Among others `before`, `after`, `note` (why) and `requestId`. */
  detail: Readonly<Record<string, unknown>>;
  hash: string;
}>;
/** Where an act has arrived: hosts that carried out its orders, by scope. No scope: it ordered nothing, or is too old. */
export type AuditReach = Readonly<{
  sequence: number;
  scopes: readonly Readonly<{ scope: string; applied: number; total: number; waiting: readonly string[] }>[];
}>;
/** `brokenAt` null = nobody has touched it. */
export type AuditCheck = Readonly<{ entries: number; brokenAt: number | null }>;

export type StatsView = Readonly<{
  /** Of the last hour, oldest first; minutes without failures are left out. */
  attacksPerMinute: readonly Readonly<{ atMs: number; jail: string; count: number }>[];
  bansByLevel: Readonly<Record<string, number>>;
  /** Of the bans of the last 7 days: how many people lifted within a day. */
  falsePositives: Readonly<{ bans: number; lifted: number; rate: number }>;
  /** From the ban to a host saying that it enforces it; null before there was any. */
  latency: Readonly<{ p50Ms: number; p99Ms: number; samples: number }> | null;
  /** What the hosts' firewalls have stopped since each one's agent started, list by list. */
  blocked: BlockedCounts;
  held: number;
  /** Requests that wait for a second admin. */
  approvals: number;
  brake: "open" | "holding";
}>;

export type ExportQuery = Readonly<{
  scope?: string | undefined;
  minLevel?: number | undefined;
}>;
/** Standing bans, a page at a time; `etag` changes whenever any of them does. */
export type BanExport = Readonly<{ etag: string; pages: () => AsyncIterable<readonly BanView[]> }>;

/** Something that happened just now; scopes as the asker writes them. */
export type { LiveEvent } from "../events.ts";

/** What a write was answered. */
export type OnceAnswer = Readonly<{ status: number; body: string | null; etag: string | null }>;
export type OnceState = Readonly<{ kind: "first" | "running" | "other" }> | (Readonly<{ kind: "done" }> & OnceAnswer);
