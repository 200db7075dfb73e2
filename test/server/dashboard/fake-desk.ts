import type { BanView, Desk, HostView, Principal, Role } from "../../../server/desk/desk.ts";

/** A name nobody should have, where names go. As markup it would run; as an attribute it would end it. */
export const hostile = `"><img src=x onerror=alert(1)><script>alert(2)</script>'`;

export const tokens: Readonly<Record<string, Principal>> = Object.fromEntries(
  (["viewer", "support", "operator", "admin"] as const).flatMap((role, index) => [
    [`f2b_${role}`, { tokenId: index + 1, name: `a ${role}`, role, tenant: null }],
    [`f2b_${role}_of_acme`, { tokenId: index + 11, name: `acme's ${role}`, role, tenant: "acme" }],
  ]),
);
export const tokenOf = (role: Role): string => `f2b_${role}`;

export const nowMs = Date.UTC(2026, 10, 22, 9, 30);
const minute = 60_000;

export const aBan: BanView = {
  ...{ id: 7, net: "192.0.2.7/32", scope: "fleet", level: 1, ports: [22], reason: "jail sshd", by: "policy 3" },
  ...{ startedMs: nowMs - 12 * minute, untilMs: nowMs + 1440 * minute, endedMs: null, endReason: null, note: null },
  evidence: { hosts: 3, tenants: 1, failures: 12 },
};
export const aHost: HostView = {
  ...{
    host: "web-1",
    tenant: "acme",
    connected: true,
    lastSeenMs: nowMs - 5000,
    version: "0.1.0",
    firewall: "nftables",
  },
  ...{ enforcing: true, behind: 0, clockSkewMs: 12, state: "active", problems: [], label: null, observe: false },
  ...{ contribute: true, enrolledMs: nowMs - 9000 * minute, etag: "e1" },
  blocked: [{ list: "all4", packets: 12_345, bytes: 740_700 }],
};

const aFailure = {
  ...{ atMs: nowMs, tenant: hostile, host: hostile, jail: hostile, address: "192.0.2.7", count: 3 },
  ...{ weight: hostile, sample: `Failed password for ${hostile}` },
};

const page = <T>(...items: readonly T[]) => ({ items, next: null });
const policy = {
  version: 3,
  document: "spread: null\n",
  effective: "spread: null\nladder:\n  - bantime: 1h\n",
  createdMs: nowMs - minute,
  by: "ann",
  etag: "p3",
};

/** Answers of a small fleet, every text hostile where outsiders or people write it. */
const answers: Partial<Desk> = {
  principalOf: async (token) => tokens[token],
  status: async () => ({
    version: "0.1.0",
    hosts: { total: 3, connected: 2, lagging: 1, notEnforcing: 1 },
    bans: { active: 2, byLevel: { 0: 1, 1: 1 } },
    failuresLastHour: 41,
    degraded: [`degraded ${hostile}`],
  }),
  stats: async () => ({
    attacksPerMinute: [{ atMs: nowMs - 3 * minute, jail: hostile, count: 5 }],
    attacksPerDay: [{ atMs: Math.floor(nowMs / 86_400_000) * 86_400_000 - 86_400_000, jail: hostile, count: 7 }],
    bansByLevel: { 0: 1, 1: 1 },
    falsePositives: { bans: 200, lifted: 3, rate: 0.015 },
    latency: { p50Ms: 41, p99Ms: 212, samples: 90 },
    blocked: [{ list: "all4", packets: 12_345, bytes: 740_700 }],
    held: 1,
    approvals: 1,
    brake: "holding",
  }),
  watch: () => () => undefined,
  hosts: async () =>
    page(aHost, {
      ...aHost,
      host: hostile,
      tenant: hostile,
      label: hostile,
      problems: [hostile],
      connected: false,
      firewall: hostile,
      version: hostile,
    }),
  bans: async () =>
    page(aBan, { ...aBan, id: 8, level: null, reason: hostile, by: hostile, note: hostile, scope: hostile }),
  failures: async () => page(aFailure),
  recentFailures: async () => [aFailure],
  explain: async (_asker, address) => ({
    address,
    banned: true,
    summary: `summary ${hostile}`,
    bans: [{ ...aBan, note: hostile, inForceOn: { applied: 2, total: 3 }, mayBeLiftedBy: hostile }],
    localBans: [
      { host: hostile, tenant: hostile, jail: hostile, net: "192.0.2.7/32", startedMs: nowMs, untilMs: null },
    ],
    rules: [
      {
        id: 1,
        kind: "allow",
        net: "192.0.2.0/24",
        tenant: hostile,
        reason: hostile,
        by: hostile,
        createdMs: nowMs,
        untilMs: null,
      },
    ],
    feeds: [
      {
        feed: hostile,
        mode: hostile,
        net: "192.0.2.0/24",
        sinceMs: nowMs,
        goodMs: null,
        exceptedMs: nowMs,
        exceptedBy: hostile,
      },
    ],
    history: [{ ...aBan, id: 5, endedMs: nowMs, endReason: hostile }],
    evidence: [{ tenant: hostile, host: hostile, jail: hostile, failures: 3, firstMs: nowMs - minute, lastMs: nowMs }],
    seen: { days: 30, failures: 12, hosts: 3, perDay: [{ dayMs: 0, failures: 12, hosts: 3 }] },
    nextLevel: hostile,
    home: {
      ...{ country: "DE", asn: 64_496, organisation: hostile },
      sources: [
        { of: "country", name: hostile, licence: hostile, credits: [], dated: "2026-06-17", problem: null },
        { of: "network owner", name: "x", licence: null, credits: [], dated: null, problem: hostile },
      ],
    },
  }),
  liftBans: async (_asker, _request, options) => ({
    ...{ lifted: options?.dryRun === true ? 0 : 2, remaining: 2, upTo: 8, byLevel: { 0: 1, manual: 1 } },
    ...{
      scopes: [{ scope: hostile, bans: 2, lastBan: 7, applied: 1, total: 2 }],
      sample: [{ ...aBan, note: hostile }],
    },
  }),
  receipt: async (_asker, id) => ({ net: "192.0.2.7/32", lifted: [id], applied: 1, total: 2, waiting: [hostile] }),
  unbanNet: async (_asker, net) => ({ net, lifted: [7], applied: 0, total: 2, waiting: ["web-1", "web-2"] }),
  rules: async (_asker, _kind) =>
    page({
      id: 4,
      net: "198.51.100.0/24",
      tenant: null,
      reason: hostile,
      by: hostile,
      createdMs: nowMs,
      untilMs: null,
    }),
  approvals: async () =>
    page({
      ...{ id: 6, kind: "ban", net: "198.18.0.0/15", scope: hostile, spanMs: minute, ports: null, why: hostile },
      ...{ reason: hostile, askedBy: hostile, askedMs: nowMs, untilMs: nowMs + minute, state: "waiting" },
      ...{ decidedBy: hostile, decidedMs: nowMs, decidedNote: hostile, madeId: null, mayApprove: true },
    } as const),
  feeds: async () => [
    {
      ...{
        name: "drop",
        source: hostile,
        mode: "observe",
        everyMs: 1,
        ttlMs: 1,
        entriesMax: 1,
        note: hostile,
        by: hostile,
      },
      ...{ createdMs: nowMs, triedMs: nowMs, goodMs: nowMs, changedMs: nowMs, dueMs: nowMs, why: null, problem: null },
      ...{ inForce: false, entries: 3, banned: 0, exceptions: 0, removing: false, etag: "e" },
      report: { listed: 3, badLines: 0, leftOut: { never: 1 }, examples: { never: [hostile] }, guard: "" },
    },
    {
      ...{
        name: "level1",
        source: hostile,
        mode: "enforce",
        everyMs: 1,
        ttlMs: 1,
        entriesMax: 1,
        note: hostile,
        by: "a",
      },
      ...{ createdMs: nowMs, triedMs: nowMs, goodMs: null, changedMs: null, dueMs: nowMs, why: "grammar" },
      ...{ problem: hostile, inForce: false, entries: 0, banned: 0, exceptions: 0, removing: false, etag: "e" },
      report: null,
    },
  ],
  held: async () =>
    page({
      id: 3,
      atMs: nowMs,
      net: "192.0.2.9/32",
      scope: "fleet",
      why: hostile,
      reason: hostile,
      ports: null,
      evidence: aBan.evidence,
    }),
  policy: async () => policy,
  policyVersions: async () =>
    page(
      { version: 3, createdMs: nowMs, by: hostile, current: true },
      { version: 2, createdMs: nowMs, by: "ann", current: false },
    ),
  policyVersion: async (_asker, version) => ({ ...policy, version, by: hostile, document: `# ${hostile}\n` }),
  setPolicy: async (_asker, document) => ({ ...policy, effective: `${policy.effective}${document}` }),
  tryPolicy: async (_asker, _document, days) => {
    const ban = { net: "192.0.2.1/32", scope: "fleet", atMs: nowMs, level: 0, untilMs: nowMs, reason: hostile };
    const only = { count: 1, first: [ban] };
    const changes = { count: 1, first: [{ before: ban, after: { ...ban, level: 1 } }] };
    return {
      days,
      failures: 40,
      truncated: true,
      fromMs: 0,
      bansBefore: 4,
      bansAfter: 5,
      adds: only,
      removes: only,
      changes,
    };
  },
  tenants: async () => [
    { name: "default", trust: "full", createdMs: nowMs, hosts: 2, quarantined: false, etag: "t1" },
    { name: hostile, trust: "vote", createdMs: nowMs, hosts: 1, quarantined: true, etag: hostile },
  ],
  enrollmentTokens: async () =>
    page({
      id: 2,
      tenant: hostile,
      host: hostile,
      usesLeft: 1,
      createdMs: nowMs,
      by: hostile,
      untilMs: nowMs + minute,
      ended: false,
    }),
  apiTokens: async () => [
    {
      id: 4,
      name: hostile,
      role: "admin",
      tenant: hostile,
      createdMs: nowMs,
      untilMs: null,
      lastUsedMs: null,
      revokedMs: null,
    },
    {
      id: 5,
      name: hostile,
      role: "viewer",
      tenant: null,
      createdMs: nowMs,
      untilMs: nowMs,
      lastUsedMs: nowMs,
      revokedMs: nowMs,
    },
  ],
  audit: async () =>
    page({
      sequence: 9,
      atMs: nowMs,
      actor: hostile,
      action: hostile,
      target: hostile,
      detail: { note: hostile, before: hostile },
      hash: "ab12",
    }),
  auditReach: async (_asker, sequence) => ({
    sequence,
    scopes: [{ scope: hostile, applied: 1, total: 2, waiting: [hostile] }],
  }),
  verifyAudit: async () => ({ entries: 9, brokenAt: null }),
};

/** What was asked of it, in order, besides looking. */
export type Asked = readonly unknown[];

/** A desk that answers from above or as told, and refuses what nobody expected of it. */
export function fakeDesk(own: Partial<Desk> = {}): Desk {
  return new Proxy({ ...answers, ...own } as Desk, {
    get: (target, name) => {
      const answer: unknown = Reflect.get(target, name);
      if (answer === undefined && name !== "then") throw new Error(`the test's desk has no ${String(name)}`);
      return answer;
    },
  });
}
