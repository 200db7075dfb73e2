import { hasExpiredRules, removeExpiredRules } from "../store/rules.ts";
import { endRule } from "./admin-acts.ts";
import type { Commit, JudgeWriter, Turn } from "./judge-writer.ts";

/** Ends what ends by itself: bans, allows and nevers. Once a second; agents' firewalls keep their own time besides. */
export async function tick(writer: JudgeWriter): Promise<Commit> {
  const { result: hasMore, commit } = await writer.overlap(async (turn) => {
    turn.apply({ kind: "tick" });
    return hasExpiredRules(turn.sql, turn.nowMs);
  });
  if (!hasMore) return commit;
  // Lists bind everybody.
  const endRules = async (turn: Turn): Promise<void> => {
    for (const rule of await removeExpiredRules(turn.sql, turn.nowMs)) endRule(turn, rule);
  };
  const { commit: ended } = await writer.turn(null, endRules, true);
  return {
    ...ended,
    decisions: [...commit.decisions, ...ended.decisions],
    orders: [...commit.orders, ...ended.orders],
  };
}
