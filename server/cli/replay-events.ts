import { z } from "zod";
import { parseNet } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { banPortsMax, type Scope, unbanReasons } from "../../shared/order.ts";
import type { Fact } from "../domain/judge.ts";

/** Seconds of the year 9999: what is beyond was written in milliseconds. */
const secondsMax = 253_402_300_799;
/** Ten years, as for every ban. */
const banSecondsMax = 3650 * 86_400;
const nameLengthMax = 253;

/** One recorded event: what happened, and when. */
export type TimedFact = Readonly<{ atMs: number; fact: Fact }>;

const seconds = z
  .number({ error: "must be a number of seconds since the epoch" })
  .min(0, { error: "must not be before 1970" })
  .max(secondsMax, { error: "must be in seconds, not milliseconds" });
const name = z
  .string({ error: "must be a name" })
  .min(1, { error: "must not be empty" })
  .max(nameLengthMax, { error: `must have at most ${nameLengthMax} characters` });
const tenant = name.default("default");
const net = z
  .string({ error: 'must be an address or network such as "192.0.2.0/24"' })
  .refine((text) => parseNet(text) !== undefined, { error: 'must be an address or network such as "192.0.2.0/24"' });
const scopeError = 'must be "fleet", "tenant:NAME" or "host:NAME"';
const scope = z
  .string({ error: scopeError })
  .refine((text): text is Scope => text === "fleet" || /^(tenant|host):.{1,253}$/.test(text), { error: scopeError });
const portError = `must be "all" or a list of 1 to ${banPortsMax} ports`;
const ports = z.union(
  [
    z.literal("all").transform(() => null),
    z
      .array(z.int({ error: portError }).min(1).max(65_535))
      .min(1)
      .max(banPortsMax),
  ],
  { error: portError },
);
const countError = "must be a whole number from 1 to 100000";
const bantimeError = `must be a whole number of seconds from 1 to ${banSecondsMax}, or null for ever`;

const kindError =
  'must be "failure", "tenant", "allow", "never", "ban", "unban", "release", "drop", "quarantine" or "tick"';
const Event = z.discriminatedUnion(
  "kind",
  [
    z.object({
      kind: z.literal("failure"),
      at: seconds,
      tenant,
      host: name,
      jail: name,
      /** Any text: what is not an address is dropped by the judge, as it is when an agent sends it. */
      ip: z.string({ error: "must be an address" }),
      count: z.int({ error: countError }).min(1, { error: countError }).max(100_000, { error: countError }).default(1),
    }),
    z.object({
      kind: z.literal("tenant"),
      at: seconds,
      tenant,
      trust: z.enum(["full", "vote"], { error: 'must be "full" or "vote"' }),
      createdAt: z.number({ error: "must be a number of seconds since the epoch" }).max(secondsMax).nullish(),
    }),
    z.object({ kind: z.literal("allow"), at: seconds, net, tenant: name.nullish(), add: z.boolean().default(true) }),
    z.object({ kind: z.literal("never"), at: seconds, net, add: z.boolean().default(true) }),
    z.object({
      kind: z.literal("ban"),
      at: seconds,
      net,
      scope,
      bantime: z
        .int({ error: bantimeError })
        .min(1, { error: bantimeError })
        .max(banSecondsMax, { error: bantimeError })
        .nullable(),
      ports: ports.nullish(),
    }),
    z.object({
      kind: z.literal("unban"),
      at: seconds,
      net,
      scope,
      reason: z.enum(unbanReasons, { error: `must be one of ${unbanReasons.join(", ")}` }).default("admin"),
    }),
    z.object({ kind: z.enum(["release", "drop"]), at: seconds, net, scope }),
    z.object({
      kind: z.literal("quarantine"),
      at: seconds,
      tenant,
      host: name.nullish(),
      on: z.boolean().default(true),
    }),
    z.object({ kind: z.literal("tick"), at: seconds }),
  ],
  { error: kindError },
);

/**
 * Reads one line of recorded events.
 *
 * @param place  named in errors: `events.jsonl: line 3`
 * @throws Fleet2banError `invalid`, naming the field and the remedy
 */
export function parseEvent(line: string, place: string): TimedFact {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new Fleet2banError("invalid", `${place}: not JSON; write one JSON object per line`, { cause });
  }
  const read = Event.safeParse(value);
  if (!read.success) {
    const [issue] = read.error.issues;
    const field = issue?.path.join(".") ?? "";
    const got = typeof value === "object" && value !== null ? Object.entries(value).find(([key]) => key === field) : [];
    const shown = got === undefined ? "it is missing" : `got ${JSON.stringify(got[1] ?? null).slice(0, 100)}`;
    if (issue === undefined || field === "") throw new Fleet2banError("invalid", `${place}: must be a JSON object`);
    throw new Fleet2banError("invalid", `${place}: "${field}" ${issue.message} (${shown})`);
  }
  return { atMs: Math.round(read.data.at * 1000), fact: factOf(read.data) };
}

function factOf(event: z.output<typeof Event>): Fact {
  const atMs = Math.round(event.at * 1000);
  switch (event.kind) {
    case "failure": {
      const { kind, host, jail, ip: address, count } = event;
      return { kind, atMs, tenant: event.tenant, host, jail, address, count };
    }
    case "tenant": {
      const createdAtMs = event.createdAt == null ? Number.NEGATIVE_INFINITY : event.createdAt * 1000;
      return { kind: "tenant", tenant: event.tenant, trust: event.trust, createdAtMs };
    }
    case "allow":
      return { kind: "allow", net: event.net, tenant: event.tenant ?? null, add: event.add };
    case "never":
      return { kind: "never", net: event.net, add: event.add };
    case "ban": {
      const banTimeMs = event.bantime === null ? null : event.bantime * 1000;
      return { kind: "ban", net: event.net, scope: event.scope, banTimeMs, ports: event.ports ?? null };
    }
    case "unban":
      return { kind: "unban", net: event.net, scope: event.scope, reason: event.reason };
    case "release":
    case "drop":
      return { kind: event.kind, net: event.net, scope: event.scope };
    case "quarantine":
      return { kind: "quarantine", tenant: event.tenant, host: event.host ?? null, on: event.on };
    case "tick":
      return { kind: "tick" };
  }
}
