import { html } from "hono/html";
import { z } from "zod";
import { formatNet, parseNet } from "../../../shared/address.ts";
import { parseDurationMs } from "../../../shared/durations.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import { parseScope } from "../../../shared/order.ts";
import { tokenPattern } from "../../../shared/subjects.ts";
import type { Content, Html } from "./html.ts";

/** What was sent: one text per field, as many as were ticked for those that repeat. */
export type Form = Readonly<{ text(name: string): string; all(name: string): readonly string[] }>;

/** A reason is read by people and kept for years. */
const reasonLengthMax = 500;

export const fields = {
  net: z
    .string()
    .trim()
    .max(49)
    .transform((text, context) => {
      const net = parseNet(text);
      if (net !== undefined) return formatNet(net);
      context.addIssue(`"${text}" is not an address or network; write 192.0.2.1 or 192.0.2.0/24`);
      return z.NEVER;
    }),
  /** Empty = null: for ever, or what the desk takes by default. */
  span: z
    .string()
    .trim()
    .max(32)
    .transform((text, context) => {
      if (text === "") return null;
      try {
        return parseDurationMs(text, "span");
      } catch {
        context.addIssue(`"${text}" is not a span of time; write 90s, 1h, 1d12h or 30d`);
        return z.NEVER;
      }
    }),
  scope: z.string().refine((text) => parseScope(text) !== undefined, "must be fleet, tenant:NAME or host:TENANT/HOST"),
  reason: z.string().trim().min(1, "say why, people will ask").max(reasonLengthMax),
  name: z.string().trim().regex(tokenPattern, "must be 1 to 48 of a-z, 0-9 and -"),
  id: z.coerce.number().int().positive(),
  /** Empty = null: the whole fleet, or any name. */
  nameOrNull: z
    .string()
    .trim()
    .transform((text, context) => {
      if (text === "" || tokenPattern.test(text)) return text === "" ? null : text;
      context.addIssue("must be 1 to 48 of a-z, 0-9 and -");
      return z.NEVER;
    }),
} as const;

/** @throws Fleet2banError `invalid` naming each field and what it should be */
export function readForm<Shape extends z.ZodRawShape>(form: Form, shape: Shape): z.output<z.ZodObject<Shape>> {
  const texts = Object.fromEntries(Object.keys(shape).map((name) => [name, form.text(name)]));
  const read = z.object(shape).safeParse(texts);
  if (read.success) return read.data;
  const sentences = read.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new Fleet2banError("invalid", sentences.join("; "));
}

export type Option = Readonly<{ value: string; name: string }>;

export function select(name: string, label: string, options: readonly Option[], chosen: string): Html {
  const shown = options.map(
    (option) =>
      html`<option value="${option.value}" ${option.value === chosen ? html`selected` : ""}>${option.name}</option>`,
  );
  return html`<label class="field"><span>${label}</span><select name="${name}">${shown}</select></label>`;
}

export type Input = Readonly<{
  value?: string;
  placeholder?: string;
  hint?: string;
  required?: boolean;
  kind?: "text" | "number" | "search";
}>;

export function input(name: string, label: string, options: Input = {}): Html {
  const { value = "", placeholder = "", hint, required = false, kind = "text" } = options;
  const note = hint === undefined ? "" : html` <span class="quiet">${hint}</span>`;
  return html`<label class="field"><span>${label}${note}</span><input name="${name}" type="${kind}" value="${value}" placeholder="${placeholder}" autocomplete="off" autocapitalize="off" spellcheck="false" ${required ? html`required` : ""}></label>`;
}

/** Opens in place and says what is about to happen; works without scripts and by keyboard. */
export function disclosure(summary: string, content: Content, kind: "plain" | "danger" = "plain"): Html {
  return html`<details class="disclosure ${kind}"><summary>${summary}</summary><div class="sheet">${content}</div></details>`;
}
