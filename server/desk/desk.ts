import type { BlockedCounts } from "../../shared/firewall-lists.ts";
import type { Trust } from "../domain/judge.ts";
import type { ErasedView, Explanation, KeptRecord } from "./address-views.ts";
import type {
  ApprovalQuery,
  ApprovalView,
  BanExport,
  EnrollmentTokenView,
  ExportQuery,
  HostChange,
  HostQuery,
  LiftRequest,
  LiftView,
  LiveEvent,
  OnceAnswer,
  OnceState,
  Outcome,
  StatsView,
  TenantChange,
  WriteOptions,
} from "./desk-views.ts";
import type { FeedChange, FeedDetails, FeedRequest, FeedView } from "./feed-views.ts";
import type {
  AuditCheck,
  AuditQuery,
  AuditReach,
  AuditView,
  FailureQuery,
  HeldView,
  IncidentView,
} from "./log-views.ts";
import type { PolicyTrial, PolicyVersionView, PolicyView, TrialProgress } from "./policy-views.ts";

/**
 * Everything the people's surfaces (API, dashboard, metrics) may ask of the coordinator. They know only this; `run.ts`
 * builds it from the store, the judgement and the bus. Nets are canonical with their length, times are milliseconds.
 *
 * Every method that changes something takes the principal: it is checked there once more and written to the audit log.
 * Errors are `Fleet2banError`: `invalid`, `forbidden`, `not_found`, `conflict` (also `StaleError` when `ifMatch` is of
 * an older state, `LimitError` when it was asked too often), `unavailable`. A principal of one tenant sees that tenant
 * and the bare fact of fleet bans.
 */
export type Desk = Readonly<{
  status(asker: Principal): Promise<FleetStatus>;
  stats(asker: Principal): Promise<StatsView>;
  /** Calls back for what happens from now on and concerns the asker; the returned function ends it. */
  watch(asker: Principal, listener: (event: LiveEvent) => void): () => void;

  hosts(asker: Principal, query: HostQuery): Promise<Page<HostView>>;
  host(asker: Principal, host: string): Promise<HostView>;
  changeHost(asker: Principal, host: string, change: HostChange, options?: WriteOptions): Promise<HostView>;
  /** For good: its credentials are worthless, its name stays taken until it is enrolled anew. */
  revokeHost(asker: Principal, host: string, options?: WriteOptions): Promise<HostView>;

  bans(asker: Principal, query: BanQuery): Promise<Page<BanView>>;
  oneBan(asker: Principal, id: number): Promise<BanView>;
  /** Wider than one admin may ban: it is written down for a second one. */
  ban(asker: Principal, request: BanRequest): Promise<Outcome<BanView>>;
  /** Lifts one ban everywhere it holds. A tenant gets an exception from a fleet ban, for its hosts and a day. */
  unban(asker: Principal, id: number, reason: string, options?: WriteOptions): Promise<UnbanReceipt>;
  /** Lifts every ban of exactly this net that the asker may lift, hosts' own bans included. */
  unbanNet(asker: Principal, net: string, reason: string, options?: WriteOptions): Promise<UnbanReceipt>;
  /** Lifts what matches a filter, a bounded number at a time. For the fleet's own people. */
  liftBans(asker: Principal, request: LiftRequest, options?: WriteOptions): Promise<LiftView>;
  receipt(asker: Principal, id: number): Promise<UnbanReceipt>;
  exportBans(asker: Principal, query: ExportQuery): Promise<BanExport>;

  failures(asker: Principal, query: FailureQuery): Promise<Page<FailureView>>;
  recentFailures(asker: Principal, limit: number): Promise<readonly FailureView[]>;
  incidents(asker: Principal, query: PageQuery): Promise<Page<IncidentView>>;
  explain(asker: Principal, address: string): Promise<Explanation>;
  /** A copy of all that is kept about a net and what lies inside it. For the fleet's own people. */
  records(asker: Principal, net: string): Promise<AsyncIterable<KeptRecord>>;
  /** Lifts its bans everywhere and forgets what is kept about it; a dry run counts. For the fleet's own people. */
  eraseRecords(asker: Principal, net: string, options?: WriteOptions): Promise<ErasedView>;

  rules(asker: Principal, kind: RuleKind, page: PageQuery): Promise<Page<RuleView>>;
  addRule(asker: Principal, kind: RuleKind, request: RuleRequest, options?: WriteOptions): Promise<Outcome<RuleView>>;
  removeRule(asker: Principal, kind: RuleKind, id: number, options?: WriteOptions): Promise<void>;

  /** Lists of others. All about them is for the fleet's own people. */
  feeds(asker: Principal): Promise<readonly FeedView[]>;
  feed(asker: Principal, name: string): Promise<FeedDetails>;
  /** It is fetched at once, and observed: nobody is banned before somebody has looked at it. */
  addFeed(asker: Principal, request: FeedRequest, options?: WriteOptions): Promise<FeedView>;
  changeFeed(asker: Principal, name: string, change: FeedChange, options?: WriteOptions): Promise<FeedView>;
  removeFeed(asker: Principal, name: string, options?: WriteOptions): Promise<void>;
  /** @param acceptSize  whatever its size; an admin has looked at it */
  refreshFeed(asker: Principal, name: string, acceptSize: boolean, options?: WriteOptions): Promise<FeedView>;
  /** Lets a feed ban again what somebody lifted of it. */
  restoreFeedEntry(asker: Principal, name: string, net: string, options?: WriteOptions): Promise<void>;

  held(asker: Principal, page: PageQuery): Promise<Page<HeldView>>;
  /** `release`: banned now; `drop`: forgotten. */
  decideHeld(asker: Principal, id: number, verb: "release" | "drop", options?: WriteOptions): Promise<HeldView>;

  approvals(asker: Principal, query: ApprovalQuery): Promise<Page<ApprovalView>>;
  approval(asker: Principal, id: number): Promise<ApprovalView>;
  /** Does what another one asked for. `forbidden` to whoever asked. */
  approve(asker: Principal, id: number, options?: WriteOptions): Promise<ApprovalView>;
  /** An admin says no; whoever asked may take it back. */
  reject(asker: Principal, id: number, options?: WriteOptions): Promise<ApprovalView>;

  policy(asker: Principal): Promise<PolicyView>;
  policyVersions(asker: Principal, page: PageQuery): Promise<Page<PolicyVersionView>>;
  policyVersion(asker: Principal, version: number): Promise<PolicyView>;
  /** `document`: YAML or JSON, complete or only what differs from the defaults. */
  setPolicy(asker: Principal, document: string, options?: WriteOptions): Promise<PolicyView>;
  /** What this policy would have done with the failures of the last days, beside the one in force. */
  tryPolicy(asker: Principal, document: string, days: number): Promise<PolicyTrial>;
  /** How far the trial that runs now has come; null when none does. */
  trialProgress(asker: Principal): Promise<TrialProgress | null>;
  /** Puts the version before the one in force in force again, as a new version. */
  revertPolicy(asker: Principal, options?: WriteOptions): Promise<PolicyView>;

  tenants(asker: Principal): Promise<readonly TenantView[]>;
  addTenant(
    asker: Principal,
    request: Readonly<{ name: string; trust: Trust }>,
    options?: WriteOptions,
  ): Promise<TenantView>;
  changeTenant(asker: Principal, name: string, change: TenantChange, options?: WriteOptions): Promise<TenantView>;

  addEnrollmentToken(asker: Principal, request: EnrollmentRequest, options?: WriteOptions): Promise<EnrollmentToken>;
  enrollmentTokens(asker: Principal, page: PageQuery): Promise<Page<EnrollmentTokenView>>;
  revokeEnrollmentToken(asker: Principal, id: number, options?: WriteOptions): Promise<void>;
  apiTokens(asker: Principal): Promise<readonly ApiTokenView[]>;
  addApiToken(
    asker: Principal,
    request: ApiTokenRequest,
    options?: WriteOptions,
  ): Promise<ApiTokenView & Readonly<{ token: string }>>;
  revokeApiToken(asker: Principal, id: number, options?: WriteOptions): Promise<void>;

  audit(asker: Principal, query: AuditQuery): Promise<Page<AuditView>>;
  /** Which hosts an act has reached; orders are kept for a week. */
  auditReach(asker: Principal, sequence: number): Promise<AuditReach>;
  /** Recomputes the whole chain of the audit log. */
  verifyAudit(asker: Principal): Promise<AuditCheck>;

  /** Remembers for a day that a write was begun under this key, so that it is done once; `request` names what it is. */
  startOnce(asker: Principal, key: string, request: string): Promise<OnceState>;
  /** What the write was answered; null = it failed on our side and may be tried again. */
  finishOnce(asker: Principal, key: string, answer: OnceAnswer | null): Promise<void>;

  /** Who holds this secret; undefined when it is unknown, expired or revoked. */
  principalOf(token: string): Promise<Principal | undefined>;
  /** Really asks the database and the bus; each `ok` or the sentence that says what is wrong. */
  health(): Promise<Readonly<{ database: string; bus: string }>>;
}>;

export const roles = ["viewer", "support", "operator", "admin"] as const;
export type Role = (typeof roles)[number];
/** `tenant` null = the whole fleet. */
export type Principal = Readonly<{
  tokenId: number;
  name: string;
  role: Role;
  tenant: string | null;
  /** Of the request it asks with; stands in the audit log. */
  requestId?: string | undefined;
}>;

/** Whether the principal may do what needs at least this role. */
export function mayAct(principal: Principal, least: Role): boolean {
  return roles.indexOf(principal.role) >= roles.indexOf(least);
}

export type PageQuery = Readonly<{ cursor?: string | undefined; limit: number }>;
export type Page<T> = Readonly<{ items: readonly T[]; next: string | null }>;

export type FleetStatus = Readonly<{
  version: string;
  hosts: Readonly<{ total: number; connected: number; lagging: number; notEnforcing: number }>;
  bans: Readonly<{ active: number; byLevel: Readonly<Record<string, number>> }>;
  failuresLastHour: number;
  /** Sentences about what is not as it should be; empty when all is well. */
  degraded: readonly string[];
}>;

export type HostView = Readonly<{
  host: string;
  tenant: string;
  connected: boolean;
  lastSeenMs: number | null;
  version: string | null;
  firewall: string | null;
  enforcing: boolean | null;
  /** Orders of the fleet scope the host has not applied yet; null when it never reported. */
  behind: number | null;
  clockSkewMs: number | null;
  state: "active" | "quarantined" | "revoked";
  problems: readonly string[];
  /** What its firewall has stopped since its agent started, as the agent says; empty when nothing, or it does not count. */
  blocked: BlockedCounts;
  /** What people call it; null = its name is enough. */
  label: string | null;
  /** Receives orders and enforces none. */
  observe: boolean;
  /** False: its failures are not taken. */
  contribute: boolean;
  enrolledMs: number;
  /** Of what `changeHost` may change. */
  etag: string;
}>;

export type BanQuery = PageQuery &
  Readonly<{
    active?: boolean | undefined;
    scope?: string | undefined;
    net?: string | undefined;
    level?: number | undefined;
    /** Bans because of this jail. */
    jail?: string | undefined;
    /** `spread`, `votes`, `network`, `admin`, or `jail sshd`. */
    reason?: string | undefined;
    /** Default `newest`; `ending`: what ends next first, of active bans only. */
    sort?: "newest" | "oldest" | "ending" | undefined;
  }>;
export type BanView = Readonly<{
  id: number;
  net: string;
  /** `fleet`, `tenant:a`, `host:a/h1`. */
  scope: string;
  level: number | null;
  ports: readonly number[] | null;
  reason: string;
  by: string;
  startedMs: number;
  untilMs: number | null;
  endedMs: number | null;
  endReason: string | null;
  /** The admin's own words; null for the policy's bans, and for a tenant on bans of the fleet. */
  note: string | null;
  /** For a tenant, of a fleet ban: only what its own hosts saw. */
  evidence: Readonly<{ hosts: number; tenants: number; failures: number }>;
}>;
export type BanRequest = Readonly<{
  net: string;
  scope: string;
  banTimeMs: number | null;
  ports: readonly number[] | null;
  reason: string;
  dryRun: boolean;
}>;
/** Who has carried out the removal: hosts that reported a revision at or beyond it, and those that have not yet. */
export type UnbanReceipt = Readonly<{
  net: string;
  lifted: readonly number[];
  applied: number;
  total: number;
  waiting: readonly string[];
}>;

export type RuleKind = "allow" | "never";
export type RuleView = Readonly<{
  id: number;
  net: string;
  tenant: string | null;
  reason: string;
  by: string;
  createdMs: number;
  untilMs: number | null;
}>;
export type RuleRequest = Readonly<{ net: string; tenant: string | null; reason: string; durationMs: number | null }>;

export type FailureView = Readonly<{
  atMs: number;
  tenant: string;
  host: string;
  jail: string;
  address: string;
  count: number;
  /** What became of it: `fleet` and `tenant` count, the rest is evidence (`banned`, `allowed`, `quarantined`, `late`). */
  weight: string;
  /** The log line, where hosts send them. From an attacker: show it as text only. */
  sample: string | null;
}>;
export type TenantView = Readonly<{
  name: string;
  trust: Trust;
  createdMs: number;
  hosts: number;
  /** It has no vote. */
  quarantined: boolean;
  etag: string;
}>;
export type EnrollmentRequest = Readonly<{ tenant: string; uses: number; durationMs: number; host: string | null }>;
export type EnrollmentToken = Readonly<{ token: string; tenant: string; uses: number; untilMs: number }>;
export type ApiTokenRequest = Readonly<{ name: string; role: Role; tenant: string | null; durationMs: number | null }>;
export type ApiTokenView = Readonly<{
  id: number;
  name: string;
  role: Role;
  tenant: string | null;
  createdMs: number;
  untilMs: number | null;
  lastUsedMs: number | null;
  revokedMs: number | null;
}>;
