import { formatNet, parseNet } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { addRule, takeBackRule } from "../ingest/admin-acts.ts";
import type { BanView as StoredBan } from "../store/bans.ts";
import { explainNet } from "../store/explain.ts";
import { receiptOf } from "../store/hosts.ts";
import { listRules } from "../store/rules.ts";
import type { Desk } from "./desk.ts";
import { actOf, type DeskParts, pageOf, readCursor, showBan } from "./desk-parts.ts";
import { explanationOf } from "./explain-desk.ts";

/** The allow and never lists, and the answer to "why". */
export function ruleDesk(parts: DeskParts): Pick<Desk, "rules" | "addRule" | "removeRule" | "explain"> {
  const { store, writer, directory, now } = parts;
  return {
    async rules(asker, kind, { cursor, limit }) {
      const before = cursor === undefined ? null : readCursor(cursor);
      const rows = await listRules(store, kind, asker.tenant, before, limit + 1);
      return pageOf(
        rows,
        limit,
        (row) => String(row.id),
        (row) => row,
      );
    },
    async addRule(asker, kind, { durationMs, ...request }) {
      if (asker.tenant !== null && request.tenant !== asker.tenant) {
        throw new Fleet2banError("forbidden", `tenant: your token is for tenant ${asker.tenant}`);
      }
      const untilMs = durationMs === null ? null : now() + durationMs;
      return await addRule(writer, actOf(asker, request.reason), { kind, ...request, untilMs });
    },
    async removeRule(asker, kind, id) {
      const [rule] = await listRules(store, kind, asker.tenant, id + 1, 1);
      if (rule?.id !== id) throw new Fleet2banError("not_found", `there is no entry ${id} on the ${kind} list`);
      if (asker.tenant !== null && rule.tenant !== asker.tenant) {
        throw new Fleet2banError("forbidden", `entry ${id} is the fleet's; ask its operator`);
      }
      await takeBackRule(writer, actOf(asker, null), kind, id);
    },
    async explain(asker, text) {
      const parsed = parseNet(text);
      if (parsed === undefined) throw new Fleet2banError("invalid", `ip: "${text}" is not an address or network`);
      const net = formatNet(parsed);
      const nowMs = now();
      const stored = await explainNet(store, net, asker.tenant, nowMs);
      const judgement = await writer.ask((judge, judgeNowMs) => judge.explain(net, judgeNowMs));
      const bans = await Promise.all(
        stored.bans.map(async (ban) => {
          const { applied, total } = await receiptOf(
            store,
            ban.scope,
            ban.startRevision,
            parts.orderEpoch,
            asker.tenant,
          );
          return { ...showBan(directory, ban), inForceOn: { applied, total }, mayBeLiftedBy: lifterOf(ban) };
        }),
      );
      return explanationOf(
        asker,
        { address: net, stored, judgement, bans, history: stored.history.map((ban) => showBan(directory, ban)) },
        nowMs,
      );
    },
  };
}

function lifterOf(ban: StoredBan): string {
  if (ban.scope === "fleet") return "support of the fleet; a tenant gets an exception of 24 h for its own hosts";
  return "support of the tenant or of the fleet";
}
