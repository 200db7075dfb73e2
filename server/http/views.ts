import type { Explanation } from "../desk/address-views.ts";
import type { BanView, FailureView, HostView, RuleView, UnbanReceipt } from "../desk/desk.ts";
import { timeOf, timeOrNull } from "./schemas.ts";

/** The desk speaks milliseconds, the API RFC 3339: the one place where the two meet. */
export function showBan(ban: BanView) {
  const { startedMs, untilMs, endedMs, endReason, ports, ...rest } = ban;
  return {
    ...rest,
    ports: ports === null ? null : [...ports],
    started: timeOf(startedMs),
    until: timeOrNull(untilMs),
    ended: timeOrNull(endedMs),
    endReason,
  };
}

export function showReceipt(receipt: UnbanReceipt) {
  return { ...receipt, lifted: [...receipt.lifted], waiting: [...receipt.waiting] };
}

export function showHost(host: HostView) {
  const { enrolledMs, lastSeenMs, problems, blocked, ...rest } = host;
  const times = { enrolled: timeOf(enrolledMs), lastSeen: timeOrNull(lastSeenMs) };
  return { ...rest, ...times, problems: [...problems], blocked: [...blocked] };
}

export function showRule(rule: RuleView) {
  const { createdMs, untilMs, ...rest } = rule;
  return { ...rest, created: timeOf(createdMs), until: timeOrNull(untilMs) };
}

export function showFailure({ atMs, ...row }: FailureView) {
  return { at: timeOf(atMs), ...row };
}

export function showExplanation(explanation: Explanation) {
  return {
    address: explanation.address,
    banned: explanation.banned,
    summary: explanation.summary,
    bans: explanation.bans.map(({ inForceOn, mayBeLiftedBy, ...ban }) => ({
      ...showBan(ban),
      inForceOn,
      mayBeLiftedBy,
    })),
    localBans: explanation.localBans.map(({ startedMs, untilMs, ...ban }) => ({
      ...ban,
      started: timeOf(startedMs),
      until: timeOrNull(untilMs),
    })),
    rules: explanation.rules.map(({ kind, ...rule }) => ({ kind, ...showRule(rule) })),
    feeds: explanation.feeds.map(({ sinceMs, goodMs, exceptedMs, exceptedBy, ...mention }) => ({
      ...mention,
      since: timeOf(sinceMs),
      fetched: timeOrNull(goodMs),
      lifted: timeOrNull(exceptedMs),
      liftedBy: exceptedBy,
    })),
    history: explanation.history.map(showBan),
    evidence: explanation.evidence.map(({ firstMs, lastMs, ...row }) => ({
      ...row,
      first: timeOf(firstMs),
      last: timeOf(lastMs),
    })),
    seen: {
      ...explanation.seen,
      perDay: explanation.seen.perDay.map(({ dayMs, ...seen }) => ({ day: dateOf(dayMs), ...seen })),
    },
    nextLevel: explanation.nextLevel,
    home: {
      ...explanation.home,
      sources: explanation.home.sources.map((source) => ({ ...source, credits: [...source.credits] })),
    },
  };
}

/** A day of UTC: `2026-11-22`. */
export function dateOf(dayMs: number): string {
  return timeOf(dayMs).slice(0, 10);
}
