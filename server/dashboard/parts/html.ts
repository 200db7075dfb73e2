import { html } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";

/** Markup. Only `html` makes it, and `html` escapes every value: names and log lines never become markup. */
export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;
/** What a cell or a paragraph may hold: text is escaped, markup is kept. */
export type Content = Html | string | number;

export const nothing: Html = html``;
