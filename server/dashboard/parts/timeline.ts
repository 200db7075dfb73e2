import { html } from "hono/html";
import type { Explanation } from "../../desk/address-views.ts";
import type { BanView } from "../../desk/desk.ts";
import { levelBadge } from "./ban-cells.ts";
import { type Content, type Html, nothing } from "./html.ts";
import { clock, roughly } from "./time.ts";

type Event = Readonly<{ atMs: number; kind: "failures" | "ban" | "unban"; id: string; text: Content }>;
/** What a person reads; the store gives no more than this of each kind, either. */
const eventsMax = 200;

/** Failures, bans and unbans of one address over all hosts, newest first. */
export function timeline(known: Explanation): Html {
  const events = [
    ...known.evidence.map(failures),
    ...[...known.bans, ...known.history].flatMap(banned),
    ...known.localBans.map(
      (ban): Event => ({
        atMs: ban.startedMs,
        kind: "ban",
        id: `local-${ban.tenant}-${ban.host}-${ban.jail}`,
        text: html`Banned by <strong>${ban.tenant}/${ban.host}</strong> itself (jail ${ban.jail})`,
      }),
    ),
  ].toSorted((one, other) => other.atMs - one.atMs);
  if (events.length === 0) return html`<p class="empty">Nothing is on record: no failure, no ban.</p>`;
  return html`<ol class="timeline">${events
    .slice(0, eventsMax)
    .map(
      ({ atMs, kind, id, text }) => html`<li id="event-${id}" class="${kind}">${clock(atMs)}<span>${text}</span></li>`,
    )}</ol>`;
}

function failures(row: Explanation["evidence"][number]): Event {
  const lasted = row.lastMs - row.firstMs;
  const span = lasted > 0 ? ` within ${roughly(lasted)}` : "";
  const lines = row.failures === 1 ? "1 failure" : `${row.failures} failures`;
  const text = html`${lines}${span} in jail <strong>${row.jail}</strong> on ${row.tenant}/${row.host}`;
  return { atMs: row.lastMs, kind: "failures", id: `${row.tenant}-${row.host}-${row.jail}`, text };
}

function banned(ban: BanView): Event[] {
  const spoken = ban.note === null ? nothing : html` <q>${ban.note}</q>`;
  const start = html`Banned ${levelBadge(ban.level, ban.reason)} in scope <strong>${ban.scope}</strong> by ${ban.by}: ${ban.reason}${spoken}`;
  const events: Event[] = [{ atMs: ban.startedMs, kind: "ban", id: `ban-${ban.id}`, text: start }];
  if (ban.endedMs !== null) {
    const end = html`Ban of scope ${ban.scope} ended: <strong>${ban.endReason ?? "ended"}</strong>`;
    events.push({ atMs: ban.endedMs, kind: "unban", id: `unban-${ban.id}`, text: end });
  }
  return events;
}
