import { html } from "hono/html";
import { formatNet, parseNet } from "../../../shared/address.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import { parseScope } from "../../../shared/order.ts";
import type { BanQuery } from "../../desk/desk.ts";
import { input, type Option, select } from "./form.ts";
import { type Html, nothing } from "./html.ts";

const levels: readonly Option[] = [
  { value: "", name: "any level" },
  ...[0, 1, 2, 3].map((level) => ({ value: String(level), name: `level ${level}` })),
];
const states: readonly Option[] = [
  { value: "", name: "standing" },
  { value: "ended", name: "ended" },
  { value: "all", name: "all" },
];
const reasons: readonly Option[] = [
  { value: "", name: "any reason" },
  { value: "spread", name: "spread over hosts" },
  { value: "votes", name: "tenants' votes" },
  { value: "network", name: "whole network" },
  { value: "admin", name: "by hand" },
];
const sorts = [
  { value: "", name: "newest first" },
  { value: "oldest", name: "oldest first" },
  { value: "ending", name: "ending next" },
] as const;

export function filterForm(query: URLSearchParams): Html {
  const text = (name: string) => query.get(name) ?? "";
  return html`<form class="filter" action="/bans" role="search" aria-label="Filter bans">
  ${input("net", "Inside", { value: text("net"), placeholder: "192.0.2.0/24", kind: "search" })}
  ${input("scope", "Scope", { value: text("scope"), placeholder: "fleet, tenant:a, host:a/h1" })}
  ${select("level", "Level", levels, text("level"))}
  ${input("jail", "Jail", { value: text("jail"), placeholder: "sshd" })}
  ${select("reason", "Reason", reasons, text("reason"))}
  ${select("state", "State", states, text("state"))}
  ${select("sort", "Order", sorts, text("sort"))}
  <button>Filter</button>${query.size > 0 ? html` <a class="quiet" href="/bans">Clear</a>` : nothing}
</form>`;
}

/** What a person typed into the address bar may be anything; what cannot be read says so. */
export function readFilter(query: URLSearchParams): Omit<BanQuery, "limit"> {
  const given = (name: string) => query.get(name)?.trim() || undefined;
  const net = given("net");
  const parsed = net === undefined ? undefined : parseNet(net);
  if (net !== undefined && parsed === undefined) {
    throw new Fleet2banError("invalid", `"${net}" is not an address or network; write 192.0.2.1 or 192.0.2.0/24`);
  }
  const scope = given("scope");
  if (scope !== undefined && parseScope(scope) === undefined) {
    throw new Fleet2banError("invalid", `scope: "${scope}" must be fleet, tenant:NAME or host:TENANT/HOST`);
  }
  const level = given("level");
  const state = given("state");
  const sort = sorts.find(({ value }) => value === given("sort"))?.value;
  return {
    net: parsed === undefined ? undefined : formatNet(parsed),
    scope,
    level: level !== undefined && /^\d$/.test(level) ? Number(level) : undefined,
    active: state === "all" ? undefined : state !== "ended",
    jail: given("jail"),
    reason: reasons.find(({ value }) => value === given("reason"))?.value || undefined,
    sort: sort === "" ? undefined : sort,
    cursor: given("cursor"),
  };
}
