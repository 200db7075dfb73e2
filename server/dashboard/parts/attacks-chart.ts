import { html } from "hono/html";
import { minuteMs } from "../../../shared/durations.ts";
import type { StatsView } from "../../desk/desk-views.ts";
import type { Html } from "./html.ts";
import { count } from "./table.ts";

const minutes = 60;
/** Colours that can be told apart; what is left over is drawn as one. */
const jailsMax = 5;

/** Drawn by `assets/dashboard.js` from its attribute; the table below says the same without a picture. */
export function attacksChart(points: StatsView["attacksPerMinute"], nowMs: number): Html {
  const totals = new Map<string, number>();
  for (const { jail, count: lines } of points) totals.set(jail, (totals.get(jail) ?? 0) + lines);
  if (totals.size === 0) return html`<p class="empty">No failure in the last hour.</p>`;
  const ranked = [...totals].toSorted(([, one], [, other]) => other - one);
  const named = ranked.slice(0, jailsMax).map(([jail]) => jail);
  const names = ranked.length > jailsMax ? [...named, "other jails"] : named;
  const lastMinute = Math.floor(nowMs / minuteMs);
  const times = Array.from({ length: minutes }, (_, index) => (lastMinute - minutes + 1 + index) * 60);
  const lines = names.map(() => new Array<number>(minutes).fill(0));
  for (const { atMs, jail, count: failures } of points) {
    const column = Math.floor(atMs / minuteMs) - lastMinute + minutes - 1;
    const known = named.indexOf(jail);
    const line = lines[known < 0 ? named.length : known];
    if (line !== undefined && column >= 0 && column < minutes) line[column] = (line[column] ?? 0) + failures;
  }
  const legend = ranked
    .slice(0, jailsMax)
    .map(([jail, total], index) => html`<li class="line${index}">${jail} <strong>${count(total)}</strong></li>`);
  return html`<div class="chart" id="attacks" hx-morph-skip-children role="img" aria-label="Attacks per minute by jail" data-chart="${JSON.stringify({ names, times, lines })}"></div>
<ul class="legend">${legend}</ul>`;
}
