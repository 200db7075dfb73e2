import { hourMs, secondMs } from "../../shared/durations.ts";
import type { FoundFailure } from "../filters/found-failure.ts";
import { createBanHistory } from "./ban-history.ts";
import type { IgnoreList } from "./ignore-list.ts";
import { createJail, type JailRules } from "./jail.ts";

/** One ban of a replay, in the words of `agent replay`. Times in seconds; `bantime` -1 = for ever. */
export type ReplayEvent = Readonly<{ at: number; kind: "ban"; id: string; bantime: number }>;

/**
 * What a jail would have done with a log, had it watched while the log was written: the clock is the log's own, bans
 * end and counts grow stale between its lines. Failures come in the order of the log; one that is dated earlier than
 * the line before it does not turn the clock back.
 */
export function* replayJail(
  rules: JailRules,
  ignoreList: Pick<IgnoreList, "check" | "remember">,
  failures: Iterable<FoundFailure>,
): Generator<ReplayEvent> {
  const history = createBanHistory();
  // No chance in a replay: `bantime.rndtime` adds nothing, so that two replays agree.
  const jail = createJail(rules, { ignoreList, history, random: () => 0 });
  let nowMs = Number.NEGATIVE_INFINITY;
  let nextPurgeMs = Number.NEGATIVE_INFINITY;
  for (const found of failures) {
    if (found.atMs > nowMs) {
      nowMs = found.atMs;
      // The server's last round before this line: what ended, or grew stale, before the line was written.
      jail.expire(nowMs - 1);
    }
    if (nowMs >= nextPurgeMs) {
      history.purge(nowMs);
      nextPurgeMs = nowMs + hourMs;
    }
    // An ignorecommand is not run: what it would say now is not what it said then.
    const asked = jail.onFailure(found, nowMs);
    const decisions = asked[0]?.kind === "ask" ? jail.onIgnoreAnswer(found, false, nowMs) : asked;
    for (const decision of decisions) {
      if (decision.kind !== "ban") continue;
      const { id, atMs, banTimeMs, earlierBans } = decision;
      history.record(rules.name, id, { bans: earlierBans + 1, lastStartMs: atMs, lastBanTimeMs: banTimeMs });
      yield { at: atMs / secondMs, kind: "ban", id, bantime: banTimeMs === null ? -1 : banTimeMs / secondMs };
    }
  }
}
