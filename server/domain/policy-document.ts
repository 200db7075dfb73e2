import { z } from "zod";
import { type Net, parseNet } from "../../shared/address.ts";
import { dayMs, formatDurationMs, parseDurationMs, secondMs } from "../../shared/durations.ts";
import { jailNamePattern } from "../../shared/failure-batch.ts";
import { banPortsMax } from "../../shared/order.ts";

/** Failures wait in memory for findtime and lateness; more than a month of them is a database, not a window. */
const findtimeMsMax = 30 * dayMs;
/** The ladder looks back over bans, which are few; a year is the longest that privacy rules usually bear. */
const withinMsMax = 366 * dayMs;
const banTimeMsMax = 3650 * dayMs;
/** A subject keeps a few entries per counted failure, so this bounds the memory an attacker can claim per address. */
const maxretryMax = 1000;
const rungsMax = 10;
const jailsMax = 1000;
const reservedMax = 10_000;

/** A whole number; the sentence names the bounds, because "too small" does not say what would do. */
const whole = (least: number, most: number) => {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
};

/** A span as people write it, milliseconds afterwards. */
const span = (leastMs: number, mostMs: number) =>
  z
    .union([z.string(), z.number()], { error: "must be a span of time such as 90s, 1h or 30d" })
    .transform((text, context) => {
      const spanMs = readSpanMs(text);
      if (spanMs !== undefined && spanMs >= leastMs && spanMs <= mostMs) return spanMs;
      const message = `must be a span of time from ${formatDurationMs(leastMs)} to ${formatDurationMs(mostMs)}, such as 90s, 1h or 30d`;
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    });

/** Zero is a span here, though not one for `parseDurationMs`: an age limit of 0 switches the limit off. */
function readSpanMs(text: string | number): number | undefined {
  if (/^0+[smhdw]?$/.test(String(text).trim())) return 0;
  try {
    return parseDurationMs(text, "policy");
  } catch {
    return undefined;
  }
}

const net = z.string({ error: "must be an address or network" }).transform((text, context): Net => {
  const read = parseNet(text);
  if (read !== undefined) return read;
  context.addIssue({ code: "custom", message: "must be an address or network such as 192.0.2.0/24" });
  return z.NEVER;
});

const jail = z.strictObject({
  findtime: span(secondMs, findtimeMsMax),
  maxretry: whole(1, maxretryMax),
  ports: z
    .array(whole(1, 65_535), { error: "must be a list of ports such as [22]" })
    .min(1, { error: "must name a port; leave it out to ban every port" })
    .max(banPortsMax, { error: `must name at most ${banPortsMax} ports; leave it out to ban every port` })
    .nullable()
    .optional(),
});

const network = (shortest: number, longest: number) =>
  z.strictObject({
    prefix: whole(shortest, longest),
    subjects: whole(2, 65_536),
    within: span(secondMs, withinMsMax),
    maxLevel: whole(0, rungsMax - 1),
  });

/** The policy as people write it, complete: a partial one is laid over the defaults first. */
export const PolicyDocument = z.strictObject({
  jails: z
    .record(z.string().regex(jailNamePattern, { error: "is not a jail's name" }), jail.partial())
    .refine((jails) => Object.keys(jails).length <= jailsMax, { error: `must name at most ${jailsMax} jails` }),
  /** null switches it off; likewise a family of `networks`. */
  spread: z.strictObject({ hosts: whole(2, 1000), findtime: span(secondMs, findtimeMsMax) }).nullable(),
  ladder: z
    .array(
      z.strictObject({
        bantime: span(secondMs, banTimeMsMax),
        after: whole(1, 1000).optional(),
        within: span(secondMs, withinMsMax).optional(),
      }),
      { error: "must be a list of levels" },
    )
    .min(1, { error: "must have at least one level" })
    .max(rungsMax, { error: `must have at most ${rungsMax} levels` }),
  /** One tenant's word is never enough for everyone, so fewer than two are not a quorum. */
  fleet: z.strictObject({
    tenants: whole(2, 1000),
    within: span(secondMs, withinMsMax),
    minTenantAge: span(0, withinMsMax),
  }),
  ipv6Prefix: whole(32, 128),
  networks: z.strictObject({ ipv4: network(8, 31).nullable(), ipv6: network(16, 127).nullable() }),
  limits: z.strictObject({
    widestBan: z.strictObject({ ipv4: whole(8, 32), ipv6: whole(16, 128) }),
    agent: z.strictObject({ subjectsPerMinute: whole(1, 1_000_000), subjectsPerDay: whole(1, 1_000_000) }),
    /** 0 holds every automatic fleet ban: the switch that stops all fleet effect. */
    fleetBansPerMinute: whole(0, 1_000_000),
  }),
  reserved: z.array(net, { error: "must be a list of networks" }).max(reservedMax, {
    error: `must name at most ${reservedMax} networks`,
  }),
});
export type PolicyDocument = z.input<typeof PolicyDocument>;

/** The design's defaults. What an operator writes is laid over these, setting by setting; lists are replaced whole. */
export const defaultPolicyDocument: PolicyDocument = {
  jails: { default: { findtime: "1h", maxretry: 3 }, sshd: { findtime: "1h", maxretry: 3, ports: [22] } },
  spread: { hosts: 5, findtime: "24h" },
  ladder: [
    { bantime: "1h" },
    { bantime: "1d", after: 3, within: "7d" },
    { bantime: "7d", after: 3, within: "30d" },
    { bantime: "30d", after: 3, within: "180d" },
  ],
  fleet: { tenants: 3, within: "24h", minTenantAge: "14d" },
  ipv6Prefix: 64,
  networks: {
    ipv4: { prefix: 24, subjects: 4, within: "24h", maxLevel: 1 },
    ipv6: { prefix: 56, subjects: 8, within: "24h", maxLevel: 1 },
  },
  limits: {
    widestBan: { ipv4: 24, ipv6: 48 },
    agent: { subjectsPerMinute: 300, subjectsPerDay: 20_000 },
    fleetBansPerMinute: 1000,
  },
  reserved: [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
    "::/8",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
  ],
};
