import { html } from "hono/html";
import { z } from "zod";
import { type Form, readForm } from "./form.ts";
import type { Html } from "./html.ts";

/** Why a ban is lifted decides what the ladder remembers of it, so nobody's choice is made for them. */
export const unbanReason: Html = html`<fieldset><legend>Why</legend>
  <label class="choice"><input type="radio" name="verdict" value="false-positive" required> It was a false positive: the ladder forgets the ban</label>
  <label class="choice"><input type="radio" name="verdict" value="admin" required> For another reason: the ladder remembers it</label>
</fieldset>
<label class="field"><span>Note <span class="quiet">for the audit log</span></span><input name="note" autocomplete="off" placeholder="customer called, old password on a phone"></label>`;

const noteLengthMax = 500;

/** @returns the reason as the desk takes it, and the person's own words */
export function readUnbanReason(form: Form): Readonly<{ reason: string; note: string | null }> {
  const { verdict, note } = readForm(form, {
    verdict: z.enum(["false-positive", "admin"], { error: "say whether it was a false positive" }),
    note: z.string().trim().max(noteLengthMax),
  });
  const words = note === "" ? null : note;
  return { reason: verdict === "false-positive" ? verdict : (words ?? "admin"), note: words };
}
