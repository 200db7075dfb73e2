import { html } from "hono/html";
import { addressBits, parseNet } from "../../../shared/address.ts";
import type { Explanation } from "../../desk/address-views.ts";
import { may, type Visit } from "../visit.ts";
import { shortNet } from "./ban-cells.ts";
import { disclosure, input } from "./form.ts";
import { type Html, nothing } from "./html.ts";
import { unbanReason } from "./unban-form.ts";

/** What this person may do about this address, each with a sentence about what it does. */
export function addressActions(visit: Visit, net: string, known: Explanation): Html {
  const { principal } = visit;
  const { banned } = known;
  return html`<div class="actions" id="actions">
  ${banned && may(principal, "unban") ? unban(visit, known) : nothing}
  ${!banned && may(principal, "ban") ? ban(visit, net) : nothing}
  ${may(principal, "allow") ? rule(visit, net, "allow") : nothing}
  ${may(principal, "never") ? rule(visit, net, "never") : nothing}
</div>`;
}

/** Up to here a net is one customer's: an IPv4 address, an IPv6 /64. */
const oneCustomer = { 4: 32, 6: 64 } as const;

/** How much a network holds, said before something is done to all of it. */
function width(net: string): Html {
  const parsed = parseNet(net);
  if (parsed === undefined || parsed.prefix >= oneCustomer[parsed.family]) return nothing;
  const bits = addressBits[parsed.family] - parsed.prefix;
  const addresses = bits > 30 ? `2 to the power of ${bits}` : (2 ** bits).toLocaleString("en-GB");
  return html`<p class="wide-warning">This is a whole network: ${addresses} addresses.</p>`;
}

function form(visit: Visit, action: string, net: string, content: Html): Html {
  return html`<form method="post" action="${action}" class="stack">
  <input type="hidden" name="formToken" value="${visit.formToken}"><input type="hidden" name="net" value="${net}">
  ${width(net)}${content}</form>`;
}

/** What is banned may be wider than the address: its /64, its network. Each ban is lifted as what it is. */
function unban(visit: Visit, { bans, localBans }: Explanation): Html {
  const nets = [...new Set([...bans, ...localBans].map((each) => each.net))];
  const [net] = nets;
  if (net === undefined) return nothing;
  if (nets.length > 1) {
    const hidden = nets.map((each) => html`<input type="hidden" name="net" value="${each}">`);
    return html`<form action="/unban">${hidden}<button>Unban…</button></form>`;
  }
  const content = html`<p>Lifts every ban of ${shortNet(net)} that you may lift, on every host.</p>${unbanReason}<button class="primary">Unban now</button>`;
  return disclosure("Unban", form(visit, "/address/unban", net, content));
}

function ban(visit: Visit, net: string): Html {
  const scope = visit.principal.tenant === null ? "fleet" : `tenant:${visit.principal.tenant}`;
  const content = html`${input("scope", "Scope", { value: scope, required: true })}
${input("span", "For", { value: "1h", hint: "empty: until somebody lifts it" })}
${input("reason", "Why", { required: true })}<button class="danger">Ban now</button>`;
  return disclosure("Ban", form(visit, "/bans", net, content));
}

function rule(visit: Visit, net: string, kind: "allow" | "never"): Html {
  const effect =
    kind === "allow"
      ? "Its failures count for nothing, and bans it covers are lifted at once."
      : "Nothing may ever ban it, whoever orders it, until the entry is removed.";
  const content = html`<p>${effect}</p>${input("span", "For", { placeholder: "30d", hint: "empty: until removed" })}
${input("reason", "Why", { required: true })}<button class="primary">${kind === "allow" ? "Allow" : "Never ban"}</button>`;
  return disclosure(kind === "allow" ? "Allow…" : "Never ban…", form(visit, `/address/${kind}`, net, content));
}
