import { html } from "hono/html";
import type { Content, Html } from "./html.ts";

export type Column = Readonly<{
  name: string;
  /** `number` aligns right; `wide` may break into lines; `action` has its name for screen readers only. */
  kind?: "number" | "wide" | "action";
}>;
export type Row = Readonly<{
  /** Keeps the row's identity while the page updates itself: focus and ticks stay where they are. */
  id: string;
  cells: readonly Content[];
  isBad?: boolean;
}>;

/** On a phone each row becomes a card, with the column's name before every value. */
export function table(
  columns: readonly Column[],
  rows: readonly Row[],
  options: Readonly<{ caption: string; empty: Content }>,
): Html {
  if (rows.length === 0) return html`<p class="empty">${options.empty}</p>`;
  const heads = columns.map(({ name, kind }) =>
    kind === "action"
      ? html`<th scope="col"><span class="unseen">${name}</span></th>`
      : html`<th scope="col" class="${kind ?? "plain"}">${name}</th>`,
  );
  const body = rows.map(({ id, cells, isBad }) => {
    const shown = cells.map((cell, index) => {
      const { name = "", kind = isLong(cell) ? "long" : "plain" } = columns[index] ?? {};
      return html`<td class="${kind}" data-label="${kind === "action" ? "" : name}">${cell}</td>`;
    });
    return html`<tr id="${id}" class="${isBad ? "bad" : "plain"}">${shown}</tr>`;
  });
  return html`<table><caption class="unseen">${options.caption}</caption><thead><tr>${heads}</tr></thead><tbody>${body}</tbody></table>`;
}

/** Beyond this a text may be one endless word, and may break anywhere. */
const lengthShown = 28;
const isLong = (cell: Content) => typeof cell === "string" && cell.length > lengthShown;

export const count = (value: number): string => value.toLocaleString("en-GB");
