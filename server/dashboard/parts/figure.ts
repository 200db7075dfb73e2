import { html } from "hono/html";
import type { Content, Html } from "./html.ts";

export type Figure = Readonly<{
  name: string;
  value: Content;
  /** What the number means or is made of. */
  note?: Content;
  href?: string;
  mood?: "good" | "bad" | "plain";
}>;

export function figures(all: readonly Figure[]): Html {
  return html`<dl class="figures">${all.map(({ name, value, note, href, mood = "plain" }) => {
    const shown = href === undefined ? value : html`<a href="${href}">${value}</a>`;
    return html`<div class="${mood}"><dt>${name}</dt><dd class="value">${shown}</dd>${note === undefined ? "" : html`<dd class="note">${note}</dd>`}</div>`;
  })}</dl>`;
}
