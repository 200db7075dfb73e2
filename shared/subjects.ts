/**
 * The NATS subjects, version 1. Who may publish and subscribe where is decided by credentials (see
 * `server/bus/permissions.ts`); the id of an agent is read from the subject, never from a payload.
 *
 * Tokens are `[a-z0-9-]{1,48}` and validated at enrolment, so a subject never needs escaping.
 */
export const tokenPattern = /^[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?$/;

const prefix = "f2b.v1";

/** Agents publish failures here; nats-server spreads them over the partitions by the host's name. */
export const partitionDefault = 0;

export const subjects = {
  /** agent → coordinator, captured by the work-queue stream: one `FailureBatch`. */
  failures: (partition: number | string, host: string) => `${prefix}.fail.${partition}.${host}`,
  failuresOfAll: `${prefix}.fail.*.*`,
  /** agent → coordinator, core NATS: `sync` asks for orders, `renew` for a JWT, `status` reports. */
  up: (host: string, verb: UpVerb) => `${prefix}.up.${host}.${verb}`,
  upOfAll: (verb: UpVerb) => `${prefix}.up.*.${verb}`,
  /** coordinator → one agent. */
  down: (host: string, verb: DownVerb) => `${prefix}.down.${host}.${verb}`,
  downOf: (host: string) => `${prefix}.down.${host}.>`,
  /** coordinator → every agent: signed order frames of the fleet scope. */
  fleetOrders: `${prefix}.bans.t`,
  /** coordinator → every agent: the coordinator is (back) on the bus; who is behind asks again. */
  hello: `${prefix}.bans.hello`,
  /** coordinator → the agents of one tenant: signed order frames of the tenant scope. */
  tenantOrders: (tenant: string) => `${prefix}.bans.g.${tenant}.t`,
  /** coordinator → the other coordinators: look into the database. */
  coordinators: `${prefix}.coordinators`,
  /** enrolment: a one-time user may publish one and subscribe the other, nothing else. */
  enroll: (token: string) => `${prefix}.enroll.${token}`,
  enrollOfAll: `${prefix}.enroll.*`,
  enrollInbox: (token: string) => `_INBOX.enroll.${token}.r`,
} as const;

export type UpVerb = "sync" | "renew" | "status";
/** `orders` carries host-scope frames, `sync` deltas and snapshots, `current` says of which positions nothing is missing. */
export type DownVerb = "ack" | "orders" | "sync" | "current" | "jwt" | "settings";

/** The host an agent's subject speaks for: `f2b.v1.up.<host>.sync` → `<host>`; undefined when it is not such a subject. */
export function hostOfSubject(subject: string): string | undefined {
  const tokens = subject.split(".");
  if (tokens[0] !== "f2b" || tokens[1] !== "v1") return undefined;
  const host = tokens[2] === "fail" ? tokens[4] : tokens[2] === "up" ? tokens[3] : undefined;
  return host !== undefined && tokenPattern.test(host) ? host : undefined;
}
