import { html } from "hono/html";
import { type Html, nothing } from "./parts/html.ts";
import type { Visit } from "./visit.ts";

/** Whoever works here should hear first when the fleet is about to lock them out. */
export async function ownAddress(visit: Visit, address: string | null): Promise<Html> {
  if (address === null) return nothing;
  // The page is worth more than its foot: when this cannot be answered, it is left out.
  const known = await visit.desk.explain(visit.principal, address).catch(() => undefined);
  if (known === undefined) return nothing;
  const link = html`<a href="/address?ip=${encodeURIComponent(address)}"><code>${address}</code></a>`;
  if (known.banned) return html`<p class="own bad">Your address ${link} is <strong>banned</strong>.</p>`;
  if (known.rules.length > 0) return html`<p class="own good">Your address ${link} is <strong>protected</strong>.</p>`;
  return html`<p class="own">Your address ${link} is neither banned nor on a list that protects it.</p>`;
}
