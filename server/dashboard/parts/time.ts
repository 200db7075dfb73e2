import { html } from "hono/html";
import { dayMs, hourMs, minuteMs, secondMs } from "../../../shared/durations.ts";
import type { Html } from "./html.ts";

/** A span as people say it, one or two units: `45s`, `12m`, `3h 20m`, `5d 2h`. */
export function roughly(spanMs: number): string {
  const span = Math.max(0, spanMs);
  if (span < minuteMs) return `${Math.floor(span / secondMs)}s`;
  if (span < hourMs) return `${Math.floor(span / minuteMs)}m`;
  const [unit, unitMs, rest, restMs] = span < dayMs ? ["h", hourMs, "m", minuteMs] : ["d", dayMs, "h", hourMs];
  const whole = Math.floor(span / unitMs);
  const remainder = Math.floor((span % unitMs) / restMs);
  return remainder === 0 ? `${whole}${unit}` : `${whole}${unit} ${remainder}${rest}`;
}

/** A moment, short, with the whole of it for a pointer that rests and for programs. UTC, as logs are compared in. */
export function moment(atMs: number, shown: string): Html {
  const exact = new Date(atMs).toISOString();
  return html`<time datetime="${exact}" title="${exact.replace("T", " ").slice(0, 19)} UTC">${shown}</time>`;
}

/** Below this the clocks of hosts say more than the number. */
const justNowMs = 2 * secondMs;

export function ago(atMs: number | null, nowMs: number): Html {
  if (atMs === null) return html`<span class="quiet">never</span>`;
  return moment(atMs, nowMs - atMs < justNowMs ? "just now" : `${roughly(nowMs - atMs)} ago`);
}

export function clock(atMs: number): Html {
  return moment(atMs, new Date(atMs).toISOString().replace("T", " ").slice(0, 19));
}

/** What is left until then; null = for ever. */
export function left(untilMs: number | null, nowMs: number): Html {
  if (untilMs === null) return html`until lifted`;
  return moment(untilMs, untilMs <= nowMs ? "ending" : roughly(untilMs - nowMs));
}
