import { html } from "hono/html";
import type { Html } from "./html.ts";
import { count } from "./table.ts";

/** A few named amounts as bars. `progress`, because the content policy allows no inline widths, and screen readers know it. */
export function bars(rows: readonly Readonly<{ name: string; value: number }>[]): Html {
  const most = Math.max(1, ...rows.map(({ value }) => value));
  return html`<dl class="bars">${rows.map(
    ({ name, value }) =>
      html`<div><dt>${name}</dt><dd><progress max="${most}" value="${value}" aria-label="${name}"></progress><span>${count(value)}</span></dd></div>`,
  )}</dl>`;
}
