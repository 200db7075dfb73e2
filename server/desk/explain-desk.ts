import { formatDurationMs } from "../../shared/durations.ts";
import type { Explanation as Judgement } from "../domain/judge.ts";
import type { StoredExplanation } from "../store/explain.ts";
import type { BanView, Explanation, Principal } from "./desk.ts";

export type Findings = Readonly<{
  address: string;
  stored: StoredExplanation;
  judgement: Judgement;
  bans: Explanation["bans"];
  history: readonly BanView[];
}>;

/** Puts what the store and the judge know of an address into the answer a person can read out. */
export function explanationOf(asker: Principal, findings: Findings, nowMs: number): Explanation {
  const { address, stored, judgement, bans, history } = findings;
  const banned = bans.length > 0 || stored.localBans.length > 0;
  return {
    address,
    banned,
    summary: summaryOf(findings, nowMs),
    bans,
    localBans: stored.localBans,
    rules: stored.rules,
    history,
    evidence: stored.evidence,
    nextLevel: nextOf(asker, judgement),
  };
}

function summaryOf({ address, stored, judgement, bans }: Findings, nowMs: number): string {
  const short = address.replace(/\/(32|128)$/, "");
  const [ban] = bans;
  if (ban !== undefined) {
    const left = ban.untilMs === null ? "until it is lifted" : `for another ${formatDurationMs(ban.untilMs - nowMs)}`;
    const where = ban.ports === null ? "on every port" : `on port ${ban.ports.join(", ")}`;
    const { failures, hosts } = ban.evidence;
    const why = failures > 0 ? `${ban.reason}, ${failures} failures on ${hosts} hosts` : `${ban.reason}, by ${ban.by}`;
    return `${short} is banned (${ban.scope}, ${where}) ${left}: ${why}.`;
  }
  const [local] = stored.localBans;
  if (local !== undefined)
    return `${short} is banned by ${stored.localBans.length} hosts themselves, first ${local.tenant}/${local.host} (${local.jail}).`;
  const [guard] = judgement.protectedBy;
  if (guard !== undefined)
    return `${short} is not banned and cannot be: the ${guard.list} list covers it with ${guard.net}.`;
  const [window] = judgement.windows;
  if (window !== undefined)
    return `${short} is not banned; it has ${window.reached} of ${window.needed} failures (${window.jail ?? "hosts"}).`;
  return `${short} is not banned, and nothing counts against it.`;
}

function nextOf(asker: Principal, judgement: Judgement): string {
  const next = judgement.next.filter((each) => asker.tenant === null || each.scope !== "fleet");
  if (next.length === 0) return "the next automatic ban would be level 0";
  return next.map((each) => `${each.scope}: level ${each.level} for ${formatDurationMs(each.banTimeMs)}`).join("; ");
}
