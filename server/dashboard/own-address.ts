import { html } from "hono/html";
import { type Html, nothing } from "./parts/html.ts";
import type { Visit } from "./visit.ts";

/** Whoever works here should hear first when the fleet is about to lock them out. */
export async function ownAddress(visit: Visit, address: string | null): Promise<Html> {
  if (address === null) return nothing;
  // The page is worth more than its foot: when this cannot be answered, it is left out.
  const known = await visit.desk.explain(visit.principal, address).catch(() => undefined);
  if (known === undefined) return nothing;
  const mood = known.banned ? "bad" : "plain";
  return html`<p class="own ${mood}"><a href="/address?ip=${encodeURIComponent(address)}">Your address</a>: ${known.summary}</p>`;
}
