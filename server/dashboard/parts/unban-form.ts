import { html } from "hono/html";
import type { Html } from "./html.ts";

/** Why a ban is lifted decides what the ladder remembers of it. */
export const unbanReason: Html = html`<label class="field">Why
  <input name="reason" list="unban-reasons" required value="false-positive" autocomplete="off">
  <span class="quiet"><code>false-positive</code> makes the ladder forget the ban; anything else is a note for the audit log.</span>
</label>
<datalist id="unban-reasons"><option value="false-positive"></option><option value="customer called"></option><option value="test"></option></datalist>`;
