import type { BlockedCounts } from "../../shared/firewall-lists.ts";
import type { Trust } from "../domain/judge.ts";
import type { BanView, PageQuery } from "./desk.ts";

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

export type StatsView = Readonly<{
  /** Of the last hour, oldest first; minutes without failures are left out. */
  attacksPerMinute: readonly Readonly<{ atMs: number; jail: string; count: number }>[];
  /** Of the last 30 days before today (UTC), oldest first; days without failures are left out. */
  attacksPerDay: readonly Readonly<{ atMs: number; jail: string; count: number }>[];
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
