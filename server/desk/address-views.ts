import type { AddressHome, HomeSource } from "../geo/address-home.ts";
import type { FeedMention } from "../store/feed-entries.ts";
import type { BanView, RuleKind, RuleView } from "./desk.ts";

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
  /** Others' lists that name it; a tenant reads only of those that ban it. */
  feeds: readonly FeedMention[];
  history: readonly BanView[];
  evidence: readonly Readonly<{
    tenant: string;
    host: string;
    jail: string;
    failures: number;
    firstMs: number;
    lastMs: number;
  }>[];
  /** What its hosts saw in the last days: of each whole one only how much, of today everything. */
  seen: Readonly<{
    days: number;
    failures: number;
    hosts: number;
    perDay: readonly Readonly<{ dayMs: number; failures: number; hosts: number }>[];
  }>;
  nextLevel: string;
  home: AddressHome & Readonly<{ sources: readonly HomeSource[] }>;
}>;

/** One record about a net: which kind, and its fields, times as ISO 8601. */
export type KeptRecord = Readonly<{ kind: string; row: Readonly<Record<string, unknown>> }>;
/** How many records of each kind were erased. */
export type ErasedView = Readonly<{
  net: string;
  failures: number;
  counts: number;
  bans: number;
  stopped: number;
  localBans: number;
  approvals: number;
}>;
