import { html } from "hono/html";
import type { Explanation } from "../../desk/desk-views.ts";
import { type Html, nothing } from "./html.ts";

const countries = new Intl.DisplayNames("en", { type: "region" });

/** Country and network owner as rows of a list of facts; nothing for what is not known. */
export function homeFacts({ country, asn, organisation }: Explanation["home"]): Html {
  return html`${country === null ? nothing : html`<div><dt>Country</dt><dd>${countries.of(country) ?? country} (${country})</dd></div>`}
    ${asn === null ? nothing : html`<div><dt>Network owner</dt><dd>AS${asn} ${organisation ?? ""}</dd></div>`}`;
}

/** What the data is, how old it is and whom its licence asks to name; what is missing and how to get it. */
export function homeSources({ sources }: Explanation["home"]): Html {
  if (sources.length === 0) return nothing;
  const lines = sources.map(({ of, name, licence, dated, credits, problem }) => {
    if (problem !== null) return html`<li>No ${of}: ${problem}</li>`;
    const about = [name, dated, licence].filter((each) => each !== null).join(", ");
    const links = credits.map((credit) => html`<li><a href="${credit.url}" rel="noreferrer">${credit.name}</a></li>`);
    return html`<li>${of === "country" ? "Country" : "Network owner"}: ${about}${links.length === 0 ? nothing : html`<ul>${links}</ul>`}</li>`;
  });
  return html`<ul class="sources">${lines}</ul>`;
}
