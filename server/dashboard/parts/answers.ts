import { html } from "hono/html";
import { minuteMs } from "../../../shared/durations.ts";
import type { FleetStatus } from "../../desk/desk.ts";
import type { StatsView } from "../../desk/desk-views.ts";
import type { Content, Html } from "./html.ts";
import { count } from "./table.ts";

/** Beyond this customers ring more often than attackers: the policy wants a look. */
const falsePositiveRateMax = 0.02;
/** What "now" means: long enough to see the slow ones, short enough to see an attack begin. */
const recentMinutes = 5;
/** So many times the hour's pace is an attack that grows; a handful of lines is none. */
const growth = 3;
const growthLinesMin = 50;

export type Answer = Readonly<{
  question: string;
  answer: Content;
  why: Content;
  mood: "good" | "bad" | "warm" | "plain";
  href?: string;
}>;

/** The questions somebody comes with, answered before anything else is shown. */
export function answers(all: readonly Answer[]): Html {
  return html`<dl class="answers">${all.map(({ question, answer, why, mood, href }) => {
    const shown = href === undefined ? answer : html`<a href="${href}">${answer}</a>`;
    return html`<div class="${mood}"><dt>${question}</dt><dd class="value">${shown}</dd><dd class="note">${why}</dd></div>`;
  })}</dl>`;
}

/** Did we lock out somebody wrongly? What people lifted within a day was most likely a mistake of ours. */
export function mistakesAnswer({ bans, lifted, rate }: StatsView["falsePositives"]): Answer {
  const question = "False positives: locked out wrongly?";
  if (bans === 0) return { question, answer: "–", why: "no automatic bans in 7 days", mood: "plain" };
  const why = `${count(lifted)} of ${count(bans)} bans of 7 days lifted by people within a day`;
  const mood = rate > falsePositiveRateMax ? "bad" : "good";
  return { question, answer: `${(rate * 100).toFixed(1)} %`, why, mood, href: "/bans?state=ended" };
}

export function attackAnswer(
  points: StatsView["attacksPerMinute"],
  failuresLastHour: number,
  standing: number,
  nowMs: number,
): Answer {
  const sinceMs = nowMs - recentMinutes * minuteMs;
  const recent = points.filter(({ atMs }) => atMs >= sinceMs);
  const lines = recent.reduce((sum, point) => sum + point.count, 0);
  const question = "Attacked now?";
  const why = `${count(failuresLastHour)} failures in the last hour, ${count(standing)} bans stand`;
  if (lines === 0) return { question, answer: "Quiet", why, mood: "good" };
  const isGrowing = lines >= growthLinesMin && lines / recentMinutes > (growth * failuresLastHour) / 60;
  const jails = [...new Set(recent.toSorted((one, other) => other.count - one.count).map(({ jail }) => jail))];
  const answer = lines === 1 ? "1 failure" : `${count(lines)} failures`;
  const named = html`in the last ${recentMinutes} minutes${isGrowing ? ", growing" : ""}, mostly <strong>${jails[0] ?? ""}</strong>; ${why}`;
  return { question, answer, why: named, mood: isGrowing ? "warm" : "plain", href: "/bans" };
}

export function enforcedAnswer({ total, connected, lagging, notEnforcing }: FleetStatus["hosts"]): Answer {
  const question = "Enforced everywhere?";
  if (total === 0) return { question, answer: "–", why: "no hosts yet", mood: "plain", href: "/hosts" };
  const enforcing = Math.max(0, connected - notEnforcing);
  const isAll = enforcing === total && lagging === 0;
  const answer = isAll
    ? `Yes, on ${total === 1 ? "the host" : `all ${count(total)}`}`
    : `On ${count(enforcing)} of ${count(total)}`;
  const why = `${count(connected)} of ${count(total)} connected, ${count(lagging)} behind, ${count(notEnforcing)} not enforcing`;
  return { question, answer, why, mood: isAll ? "good" : "bad", href: isAll ? "/hosts" : "/hosts?state=troubled" };
}
