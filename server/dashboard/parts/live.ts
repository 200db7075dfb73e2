import { html } from "hono/html";
import type { Visit } from "../visit.ts";
import type { Html } from "./html.ts";

/** The fleet says when something happens; this often the page looks by itself, for ages and reports of hosts. */
const everySeconds = 10;
/** While somebody waits for receipts, which hosts bring without a word. */
const everySecondsWaiting = 1;

/**
 * The part of a page that keeps itself up to date: asked for again when something happened (`assets/dashboard.js` says
 * `changed`) and now and then all the same. Only what differs is touched, so focus, ticks and open sheets stay.
 */
export function live(visit: Visit, content: Html, isWaiting = false): Html {
  const search = visit.query.toString();
  const url = search === "" ? visit.path : `${visit.path}?${search}`;
  const seconds = isWaiting ? everySecondsWaiting : everySeconds;
  return html`<div id="live" hx-get="${url}" hx-select="#live" hx-trigger="changed, every ${seconds}s" hx-swap="outerMorph" hx-status:4xx="swap:none" hx-status:5xx="swap:none">${content}</div>`;
}
