import { Fleet2banError } from "../../shared/errors.ts";
import type { Scope, UnbanReason } from "../../shared/order.ts";
import { type BanFilter, listBans } from "../store/ban-lists.ts";
import { type Act, writeAudit } from "./act.ts";
import type { JudgeWriter } from "./judge-writer.ts";

/** Ids named in one entry of the audit log; of more, the filter and the number say enough. */
const idsNamedMax = 100;

/** What was lifted of one scope, and how far its order log has come with it. */
export type LiftedScope = Readonly<{ scope: Scope; lifted: number; lastBan: number; revision: number }>;

/**
 * Lifts the oldest `limit` standing bans that match, in one turn: ingest waits for it, so `limit` is small and whoever
 * wants more asks again.
 *
 * @param about  the filter as people read it, for the audit log
 * @throws Fleet2banError `not_found` when none matches
 */
export async function liftMatching(
  writer: JudgeWriter,
  act: Act,
  filter: BanFilter,
  { reason, limit, about }: Readonly<{ reason: UnbanReason; limit: number; about: string }>,
): Promise<readonly LiftedScope[]> {
  const { result, commit } = await writer.turn(act, async (turn) => {
    const bans = await listBans(turn.sql, { ...filter, active: true, sort: "oldest" }, limit);
    if (bans.length === 0) throw new Fleet2banError("not_found", `no ban that stands matches ${about}`);
    for (const { id, net, scope } of bans) turn.apply({ kind: "unban", net, scope, reason, id });
    const ids = bans.slice(0, idsNamedMax).map(({ id }) => id);
    await writeAudit(turn, act, "unban matching", about, {
      tenant: null,
      before: { bans: bans.length, ids },
      after: { reason },
    });
    return bans;
  });
  const ends = new Map(commit.orders.map(({ scope, from, orders }) => [scope, from + orders.length]));
  return [...Map.groupBy(result, ({ scope }) => scope)].map(([scope, of]) => ({
    scope,
    lifted: of.length,
    lastBan: of.at(-1)?.id ?? 0,
    revision: ends.get(scope) ?? 0,
  }));
}
