import { formatNet, parseNet } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { addRule, takeBackRule } from "../ingest/admin-acts.ts";
import { listRules, type RuleView as StoredRule } from "../store/rules.ts";
import { waitForSecond } from "./approval-desk.ts";
import type { Desk, Principal, RuleKind, RuleRequest, RuleView } from "./desk.ts";
import { actOf, beforeOf, type DeskParts, pageOf, requireFleet, requireTenant } from "./desk-parts.ts";
import { requireRole } from "./guard.ts";

/** The allow and never lists. A tenant has allows of its own and reads no others: they name others' addresses. */
export function ruleDesk(parts: DeskParts): Pick<Desk, "rules" | "addRule" | "removeRule"> {
  const { store, writer } = parts;
  return {
    async rules(asker, kind, { cursor, limit }) {
      if (kind === "never") requireFleet(asker, "the never list");
      const rows = await listRules(store, kind, asker.tenant, beforeOf(cursor), limit + 1);
      return pageOf(rows, limit, (row) => String(row.id), showRule);
    },
    async addRule(asker, kind, { durationMs, ...request }, options) {
      checkKind(asker, kind);
      requireTenant(asker, request.tenant);
      const untilMs = durationMs === null ? null : parts.now() + durationMs;
      const { net, tenant, reason } = request;
      // An allow is also a way to attack: for everybody and of many networks, two must want it, and not for ever.
      const why = kind === "allow" && tenant === null ? await writer.ask((judge) => judge.whyTooWide(net)) : undefined;
      if (why !== undefined) {
        if (durationMs === null) throw new Fleet2banError("invalid", `duration: ${why}, and it must end: say when`);
        const asked = { kind: "allow", net, scope: "fleet", spanMs: durationMs, ports: null, why, reason } as const;
        return await waitForSecond(parts, asker, asked, options);
      }
      if (options?.dryRun === true) return { kind: "made", made: dryRule(asker, kind, request, untilMs, parts.now()) };
      const made = await addRule(writer, actOf(asker, reason), { kind, ...request, untilMs });
      return { kind: "made", made: showRule(made) };
    },
    async removeRule(asker, kind, id, options) {
      checkKind(asker, kind);
      const [rule] = await listRules(store, kind, asker.tenant, id + 1, 1);
      if (rule?.id !== id) throw new Fleet2banError("not_found", `there is no entry ${id} on the ${kind} list`);
      if (options?.dryRun === true) return;
      await takeBackRule(writer, actOf(asker, options?.reason ?? null), kind, id);
    },
  };
}

/** Nothing may ever ban what is on the never list, so it is an admin's. */
function checkKind(asker: Principal, kind: RuleKind): void {
  if (kind !== "never") return;
  requireFleet(asker, "the never list");
  requireRole(asker, "admin");
}

function showRule({ id, net, tenant, reason, by, createdMs, untilMs }: StoredRule): RuleView {
  return { id, net, tenant, reason, by, createdMs, untilMs };
}

function dryRule(
  asker: Principal,
  kind: RuleKind,
  { net: text, tenant, reason }: Omit<RuleRequest, "durationMs">,
  untilMs: number | null,
  createdMs: number,
): RuleView {
  if (kind === "never" && tenant !== null) {
    throw new Fleet2banError("invalid", "never: holds for the whole fleet; write an allow for one tenant");
  }
  const parsed = parseNet(text);
  if (parsed === undefined) throw new Fleet2banError("invalid", `net: "${text}" is not an address or network`);
  return { id: 0, net: formatNet(parsed), tenant, reason, by: asker.name, createdMs, untilMs };
}
