import { removeExpiredRules } from "../store/rules.ts";
import { endRule } from "./admin-acts.ts";
import type { Commit, JudgeWriter } from "./judge-writer.ts";

/** Ends what ends by itself: bans, allows and nevers. Once a second; agents' firewalls keep their own time besides. */
export async function tick(writer: JudgeWriter): Promise<Commit> {
  const { commit } = await writer.turn(null, async (turn) => {
    turn.apply({ kind: "tick" });
    for (const rule of await removeExpiredRules(turn.sql, turn.nowMs)) endRule(turn, rule);
  });
  return commit;
}
