import { isNet } from "./address.ts";
import { dayMs } from "./durations.ts";
import * as shape from "./shape.ts";
import { tokenPattern } from "./subjects.ts";

/**
 * What a coordinator may tell an agent: a closed list of verbs. There is no order to run, write or fetch anything.
 *
 * Orders of one scope form a log; an order's place in it is its revision. `id` names the ban or allow for its whole
 * life, so a lifted one can never be confused with a later one of the same address.
 */
export type Order = BanOrder | UnbanOrder | AllowOrder | DisallowOrder;
export type BanOrder = Readonly<{
  kind: "ban";
  id: number;
  /** Canonical, with its length: `192.0.2.1/32`. */
  net: string;
  /** null = until lifted. */
  untilMs: number | null;
  /** TCP and UDP ports; null = every port. */
  ports: readonly number[] | null;
  /** Rung of the ladder; null for a ban made by hand. */
  level: number | null;
}>;
/** Lifts ban `id`; `id` 0 lifts what the host banned by itself. Unless expired, the host's own bans inside `net` end too. */
export type UnbanOrder = Readonly<{ kind: "unban"; id: number; net: string; reason: UnbanReason }>;
/** `never`: stronger than every ban; otherwise an allow is as strong as its scope. */
export type AllowOrder = Readonly<{ kind: "allow"; id: number; net: string; untilMs: number | null; never?: true }>;
export type DisallowOrder = Readonly<{ kind: "disallow"; id: number; net: string }>;

export const unbanReasons = ["expired", "admin", "false-positive", "allowed"] as const;
export type UnbanReason = (typeof unbanReasons)[number];

/** Where a ban holds: everywhere, on one tenant's hosts, on one host. A host's tenant is known from its name. */
export type Scope = "fleet" | `tenant:${string}` | `host:${string}`;

/** Ports of one ban: each port is one more element per address in the firewall, so a jail may not name a whole range. */
export const banPortsMax = 32;

/** Longest ban a policy can make. Agents refuse a longer one that no person has ordered. */
export const banTimeMsMax = 3650 * dayMs;

/** A ladder has four rungs; a longer one must not be refused by agents that are out there. */
export const levelMax = 15;

/** Id of the ban that every host holds to prove that orders arrive and are enforced; no other ban gets that far. */
export const canaryBanId = Number.MAX_SAFE_INTEGER;

const net = shape.string().check(shape.maxLength(49), shape.refine(isNet, "not an address or network"));
const id = shape.int().check(shape.nonnegative());
const untilMs = shape.nullable(shape.int().check(shape.positive()));
const ports = shape
  .array(shape.int().check(shape.minimum(1), shape.maximum(65_535)))
  .check(shape.minLength(1), shape.maxLength(banPortsMax));

export const OrderWire = shape.discriminatedUnion("kind", [
  shape.object({
    kind: shape.literal("ban"),
    id: shape.int().check(shape.positive()),
    net,
    untilMs,
    ports: shape.nullable(ports),
    level: shape.nullable(shape.int().check(shape.minimum(0), shape.maximum(levelMax))),
  }),
  shape.object({ kind: shape.literal("unban"), id, net, reason: shape.enum(unbanReasons) }),
  shape.object({
    kind: shape.literal("allow"),
    id: shape.int().check(shape.positive()),
    net,
    untilMs,
    never: shape.exactOptional(shape.literal(true)),
  }),
  shape.object({ kind: shape.literal("disallow"), id: shape.int().check(shape.positive()), net }),
]);

/** A scope on the wire, read. */
export const ScopeWire = shape.converted(shape.string().check(shape.maxLength(64)), parseScope, "a scope");

/** Reads `fleet`, `tenant:a` or `host:h1` (also `host:a/h1`, as the API writes it); undefined for anything else. */
export function parseScope(text: string): Scope | undefined {
  if (text === "fleet") return "fleet";
  const [kind, name = ""] = [text.slice(0, text.indexOf(":")), text.slice(text.indexOf(":") + 1)];
  if (kind === "tenant" && tokenPattern.test(name)) return `tenant:${name}`;
  if (kind !== "host") return undefined;
  const [tenantOrHost = "", host, ...more] = name.split("/");
  if (more.length > 0 || !tokenPattern.test(tenantOrHost)) return undefined;
  if (host === undefined) return `host:${tenantOrHost}`;
  return tokenPattern.test(host) ? `host:${host}` : undefined;
}
