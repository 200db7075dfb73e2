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
