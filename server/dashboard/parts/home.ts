import { html } from "hono/html";
import type { Explanation } from "../../desk/address-views.ts";
import { type Html, nothing } from "./html.ts";

const countries = new Intl.DisplayNames("en", { type: "region" });

/** Where an address is from, as far as the data on this machine says; nothing when no data is asked. */
export function homeCard(home: Explanation["home"]): Html {
  const { country, asn, organisation, sources } = home;
  if (sources.length === 0) return nothing;
  const place =
    country === null ? html`<span class="quiet">unknown</span>` : `${countries.of(country) ?? country} (${country})`;
  const owner = asn === null ? html`<span class="quiet">unknown</span>` : `AS${asn} ${organisation ?? ""}`;
  return html`<section class="card"><h2>Where it is from</h2>
  <dl class="facts"><div><dt>Country</dt><dd>${place}</dd></div><div><dt>Network owner</dt><dd>${owner}</dd></div></dl>
  ${homeSources(home)}</section>`;
}

/** What the data is, how old it is and whom its licence asks to name; what is missing and how to get it. */
function homeSources({ sources }: Explanation["home"]): Html {
  const lines = sources.map(({ of, name, licence, dated, credits, problem }) => {
    if (problem !== null) return html`<li>No ${of}: ${problem}</li>`;
    const about = [name, dated, licence].filter((each) => each !== null).join(", ");
    const links = credits.map((credit) => html`<li><a href="${credit.url}" rel="noreferrer">${credit.name}</a></li>`);
    return html`<li>${of === "country" ? "Country" : "Network owner"}: ${about}${links.length === 0 ? nothing : html`<ul>${links}</ul>`}</li>`;
  });
  return html`<ul class="sources">${lines}</ul>`;
}
