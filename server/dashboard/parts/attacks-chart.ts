import { html } from "hono/html";
import { dayMs, minuteMs } from "../../../shared/durations.ts";
import type { Html } from "./html.ts";
import { count } from "./table.ts";

/** Colours that can be told apart; what is left over is drawn as one. */
const jailsMax = 5;

type Scale = Readonly<{ id: string; about: string; stepMs: number; steps: number; empty: string }>;
export const lastHour: Scale = {
  ...{ id: "attacks", about: "Attacks per minute by jail", stepMs: minuteMs, steps: 60 },
  empty: "No failure in the last hour.",
};
export const lastMonth: Scale = {
  ...{ id: "attacks-by-day", about: "Attacks per day by jail", stepMs: dayMs, steps: 30 },
  empty: "No day has been counted yet; yesterday is counted early today.",
};

/** Drawn by `assets/dashboard.js` from its attribute; the table below says the same without a picture. */
export function attacksChart(
  points: readonly Readonly<{ atMs: number; jail: string; count: number }>[],
  nowMs: number,
  { id, about, stepMs, steps, empty }: Scale,
): Html {
  const totals = new Map<string, number>();
  for (const { jail, count: lines } of points) totals.set(jail, (totals.get(jail) ?? 0) + lines);
  if (totals.size === 0) return html`<p class="empty">${empty}</p>`;
  const ranked = [...totals].toSorted(([, one], [, other]) => other - one);
  const named = ranked.slice(0, jailsMax).map(([jail]) => jail);
  const names = ranked.length > jailsMax ? [...named, "other jails"] : named;
  const lastStep = Math.floor(nowMs / stepMs);
  const times = Array.from({ length: steps }, (_, index) => ((lastStep - steps + 1 + index) * stepMs) / 1000);
  const lines = names.map(() => new Array<number>(steps).fill(0));
  for (const { atMs, jail, count: failures } of points) {
    const column = Math.floor(atMs / stepMs) - lastStep + steps - 1;
    const known = named.indexOf(jail);
    const line = lines[known < 0 ? named.length : known];
    if (line !== undefined && column >= 0 && column < steps) line[column] = (line[column] ?? 0) + failures;
  }
  const legend = ranked
    .slice(0, jailsMax)
    .map(([jail, total], index) => html`<li class="line${index}">${jail} <strong>${count(total)}</strong></li>`);
  return html`<div class="chart" id="${id}" hx-morph-skip-children role="img" aria-label="${about}" data-chart="${JSON.stringify({ names, times, lines })}"></div>
<ul class="legend">${legend}</ul>`;
}
