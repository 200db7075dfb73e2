import { html } from "hono/html";
import type { UnbanReceipt } from "../../desk/desk.ts";
import { type Html, nothing } from "./html.ts";

/** Hosts named in a sentence; of more, the number says enough. */
const namedMax = 8;

/** How far a removal has come. `total` 0: no host had to do anything. */
export function receiptOf({ applied, total, waiting }: UnbanReceipt): Html {
  const isDone = waiting.length === 0 && applied >= total;
  const named = waiting.slice(0, namedMax).join(", ");
  const more = waiting.length > namedMax ? ` and ${waiting.length - namedMax} more` : "";
  const sentence = isDone
    ? html`Removed on <strong>${applied} of ${total}</strong> hosts. Done.`
    : html`Removed on <strong>${applied} of ${total}</strong> hosts. Waiting for ${named}${more}; hosts that are away do it when they are back.`;
  const bar =
    total === 0
      ? nothing
      : html`<progress max="${total}" value="${applied}" aria-label="Hosts that removed it"></progress>`;
  return html`<section class="card receipt ${isDone ? "done" : "under-way"}" aria-live="polite"><h2>Unban</h2><p>${sentence}</p>${bar}</section>`;
}
