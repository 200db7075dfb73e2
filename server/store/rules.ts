import { Fleet2banError } from "../../shared/errors.ts";
import type { AllowOrder, DisallowOrder, Scope } from "../../shared/order.ts";
import type { RuleKind } from "./schema-bans.ts";
import { isUniqueViolation, only, type Sql } from "./sql.ts";

export type { RuleKind } from "./schema-bans.ts";

export type RuleView = Readonly<{
  id: number;
  kind: RuleKind;
  net: string;
  /** null = the whole fleet. */
  tenant: string | null;
  reason: string;
  by: string;
  createdMs: number;
  untilMs: number | null;
}>;

export const ruleColumns = `id, kind, net, tenant, reason, made_by as by, created_ms as "createdMs", until_ms as "untilMs"`;

/** @throws Fleet2banError `conflict` when the same net is on the same list already */
export async function insertRule(sql: Sql, rule: Omit<RuleView, "id">): Promise<RuleView> {
  try {
    const rows = await sql.rows<RuleView>(
      `insert into rules (kind, net, tenant, reason, made_by, created_ms, until_ms)
       values ($1, $2, $3, $4, $5, $6, $7) returning ${ruleColumns}`,
      [rule.kind, rule.net, rule.tenant, rule.reason, rule.by, rule.createdMs, rule.untilMs],
    );
    return only(rows);
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    const list = `the ${rule.kind} list of ${rule.tenant === null ? "the fleet" : `tenant ${rule.tenant}`}`;
    throw new Fleet2banError("conflict", `${rule.net} is on ${list} already; remove that entry first`, {
      cause: error,
    });
  }
}

export async function standingRules(sql: Sql): Promise<RuleView[]> {
  return sql.rows<RuleView>(`select ${ruleColumns} from rules where removed_ms is null order by id`);
}

/** Newest first. `tenant` null = of everybody; otherwise that tenant's own: the fleet's list names others' addresses. */
export async function listRules(
  sql: Sql,
  kind: RuleKind,
  tenant: string | null,
  before: number | null,
  limit: number,
): Promise<RuleView[]> {
  return sql.rows<RuleView>(
    `select ${ruleColumns} from rules where removed_ms is null and kind = $1 and ($2::text is null or tenant = $2)
       and ($3::bigint is null or id < $3) order by id desc limit $4`,
    [kind, tenant, before, limit],
  );
}

export async function removeRule(
  sql: Sql,
  kind: RuleKind,
  id: number,
  nowMs: number,
  by: string,
): Promise<RuleView | undefined> {
  const [row] = await sql.rows<RuleView>(
    `update rules set removed_ms = $2, removed_by = $3
     where id = $1 and kind = $4 and removed_ms is null returning ${ruleColumns}`,
    [id, nowMs, by, kind],
  );
  return row;
}

/** Takes off the lists what ended by `nowMs`. */
export async function removeExpiredRules(sql: Sql, nowMs: number): Promise<RuleView[]> {
  return sql.rows<RuleView>(
    `update rules set removed_ms = until_ms, removed_by = 'expired' where removed_ms is null and until_ms <= $1 returning ${ruleColumns}`,
    [nowMs],
    "expire-rules",
  );
}

export async function hasExpiredRules(sql: Sql, nowMs: number): Promise<boolean> {
  const rows = await sql.rows("select from rules where removed_ms is null and until_ms <= $1 limit 1", [nowMs]);
  return rows.length > 0;
}

export function ruleOrder(rule: RuleView): Readonly<{ scope: Scope; order: AllowOrder }> {
  const { id, net, untilMs } = rule;
  return {
    scope: scopeOf(rule),
    order: { kind: "allow", id, net, untilMs, ...(rule.kind === "never" ? { never: true } : {}) },
  };
}

export function ruleEndOrder(rule: RuleView): Readonly<{ scope: Scope; order: DisallowOrder }> {
  return { scope: scopeOf(rule), order: { kind: "disallow", id: rule.id, net: rule.net } };
}

function scopeOf(rule: RuleView): Scope {
  return rule.tenant === null ? "fleet" : `tenant:${rule.tenant}`;
}
