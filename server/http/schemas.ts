import { z } from "@hono/zod-openapi";
import { formatNet, parseNet } from "../../shared/address.ts";
import { parseDurationMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { banPortsMax, parseScope } from "../../shared/order.ts";
import { tokenPattern } from "../../shared/subjects.ts";
import { roles } from "../desk/desk.ts";

/** Rows of one page: what one screen or one script step wants, and little enough to render at once. */
export const pageLimitMax = 1000;
/** A reason is read by people and kept for years. */
const reasonLengthMax = 500;

export const Time = z.iso.datetime().openapi({ example: "2026-11-22T08:00:00.000Z" });
export const timeOf = (ms: number): string => new Date(ms).toISOString();
export const timeOrNull = (ms: number | null): string | null => (ms === null ? null : timeOf(ms));

/** Strict: `010.0.0.1` is an error, not 8.0.0.1. */
export const Net = z
  .string()
  .max(49)
  .transform((text, context) => {
    const net = parseNet(text);
    if (net !== undefined) return formatNet(net);
    context.addIssue({
      code: "custom",
      message: `"${text}" is not an address or network; write 192.0.2.1 or 192.0.2.0/24`,
    });
    return z.NEVER;
  })
  .openapi({ type: "string", example: "192.0.2.1/32" });

export const Duration = z
  .string()
  .max(32)
  .transform((text, context) => {
    try {
      return parseDurationMs(text, "span");
    } catch (error) {
      context.addIssue({
        code: "custom",
        message: error instanceof Fleet2banError ? error.message : "not a span of time",
      });
      return z.NEVER;
    }
  })
  .openapi({ type: "string", example: "1h" });

/** null = for ever. */
export const DurationOrNull = Duration.nullable().openapi({ type: ["string", "null"], example: "1h" });

export const ScopeText = z
  .string()
  .max(120)
  .refine((text) => parseScope(text) !== undefined, "must be fleet, tenant:NAME or host:TENANT/HOST")
  .openapi({ example: "fleet" });

export const Ports = z
  .array(z.int().min(1).max(65_535))
  .min(1)
  .max(banPortsMax)
  .openapi({ example: [22] });
export const Reason = z
  .string()
  .trim()
  .min(1, "say why, people will ask")
  .max(reasonLengthMax)
  .openapi({ example: "ticket 4711" });
export const TokenName = z.string().regex(tokenPattern, "must be 1 to 48 of a-z, 0-9 and -");
export const RoleName = z.enum(roles);

export const PageParams = z.object({
  cursor: z.string().max(200).optional().openapi({ description: "`next` of the page before." }),
  limit: z.coerce.number().int().min(1).max(pageLimitMax).default(100).openapi({ type: "integer", example: 100 }),
});
/** The number in a path. */
export const IdParam = z.object({
  id: z.coerce.number().int().positive().max(Number.MAX_SAFE_INTEGER).openapi({ type: "integer", example: 1 }),
});
/** `true` or `false` in a query; absent = both. */
export const Flag = z.enum(["true", "false"]).openapi({ example: "true" });

export const Evidence = z.object({ hosts: z.int(), tenants: z.int(), failures: z.int() });

export const Ban = z
  .object({
    id: z.int(),
    net: z.string(),
    scope: z.string(),
    level: z.int().nullable(),
    ports: z.array(z.int()).nullable(),
    reason: z.string(),
    by: z.string(),
    started: Time,
    until: Time.nullable(),
    ended: Time.nullable(),
    endReason: z.string().nullable(),
    note: z.string().nullable(),
    evidence: Evidence,
  })
  .openapi("Ban", {
    example: {
      id: 7,
      net: "192.0.2.1/32",
      scope: "fleet",
      level: 0,
      ports: [22],
      reason: "jail sshd",
      by: "policy 3",
      started: "2026-11-22T08:00:00.000Z",
      until: "2026-11-22T09:00:00.000Z",
      ended: null,
      endReason: null,
      note: null,
      evidence: { hosts: 3, tenants: 1, failures: 3 },
    },
  });

export const Receipt = z
  .object({
    net: z.string(),
    lifted: z.array(z.int()),
    applied: z.int(),
    total: z.int(),
    waiting: z.array(z.string()),
  })
  .openapi("Receipt", {
    example: { net: "192.0.2.1/32", lifted: [7], applied: 40, total: 41, waiting: ["web-7"] },
  });

export const Rule = z
  .object({
    id: z.int(),
    net: z.string(),
    tenant: z.string().nullable(),
    reason: z.string(),
    by: z.string(),
    created: Time,
    until: Time.nullable(),
  })
  .openapi("Rule");

/** `all`: single addresses, `net`: networks, `port`: bans of some ports only; the digit is the IP version. */
export const Blocked = z
  .object({ list: z.string().openapi({ example: "all4" }), packets: z.int(), bytes: z.int() })
  .openapi("Blocked");

export const Host = z
  .object({
    host: z.string(),
    tenant: z.string(),
    label: z.string().nullable(),
    state: z.enum(["active", "quarantined", "revoked"]),
    observe: z.boolean(),
    contribute: z.boolean(),
    connected: z.boolean(),
    enrolled: Time,
    lastSeen: Time.nullable(),
    version: z.string().nullable(),
    firewall: z.string().nullable(),
    enforcing: z.boolean().nullable(),
    behind: z.int().nullable(),
    clockSkewMs: z.int().nullable(),
    problems: z.array(z.string()),
    blocked: z
      .array(Blocked)
      .openapi({ description: "What its firewall has stopped since its agent started, as the agent says." }),
    etag: z.string(),
  })
  .openapi("Host");

export const pageOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), next: z.string().nullable() });
