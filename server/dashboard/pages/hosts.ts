import { html } from "hono/html";
import { Fleet2banError } from "../../../shared/errors.ts";
import { nameOfList } from "../../../shared/firewall-lists.ts";
import type { HostView } from "../../desk/desk.ts";
import type { HostQuery } from "../../desk/desk-views.ts";
import { disclosure, fields, input, type Option, readForm, select } from "../parts/form.ts";
import { type Content, type Html, nothing } from "../parts/html.ts";
import { live } from "../parts/live.ts";
import { type Column, count, table } from "../parts/table.ts";
import { ago } from "../parts/time.ts";
import { may, type Page, type Pages, type Visit } from "../visit.ts";
import { enrollForm } from "./enroll.ts";

const rowsMax = 200;
/** Clocks differ by this much before it matters for a window of an hour. */
const skewMsShown = 5000;

export function hostPages(pages: Pages): void {
  pages.get("/hosts", "look", show);
  pages.post(
    "/hosts/change",
    "hosts",
    async ({ desk, principal }, form) => {
      const host = form.text("host");
      const change = changes[form.text("verb")];
      if (change === undefined) throw new Fleet2banError("invalid", "verb: choose one of the buttons of a host");
      const { reason } = readForm(form, { reason: fields.reason });
      await desk.changeHost(principal, host, change.change, { reason });
      return { to: "/hosts", notice: `${host}: ${change.done}.` };
    },
    show,
  );
  pages.post(
    "/hosts/revoke",
    "hosts",
    async ({ desk, principal }, form) => {
      const host = form.text("host");
      const { reason } = readForm(form, { reason: fields.reason });
      await desk.revokeHost(principal, host, { reason });
      return { to: "/hosts", notice: `${host} is revoked: its credentials are worthless.` };
    },
    show,
  );
}

const changes: Readonly<Record<string, Readonly<{ change: Parameters<Desk["changeHost"]>[2]; done: string }>>> = {
  quarantine: { change: { quarantined: true }, done: "its failures are evidence only from now on" },
  trust: { change: { quarantined: false }, done: "its failures count again" },
  observe: { change: { observe: true }, done: "it receives orders and enforces none" },
  enforce: { change: { observe: false }, done: "it enforces what it is sent" },
  withhold: { change: { contribute: false }, done: "its failures are not taken any more" },
  contribute: { change: { contribute: true }, done: "its failures are taken again" },
};
type Desk = Visit["desk"];

const states: readonly Option[] = [
  { value: "", name: "any state" },
  { value: "troubled", name: "in trouble" },
  { value: "active", name: "active" },
  { value: "quarantined", name: "quarantined" },
  { value: "revoked", name: "revoked" },
];

async function show(visit: Visit): Promise<Page> {
  const { desk, principal, query } = visit;
  const page = await desk.hosts(principal, { ...readFilter(query), limit: rowsMax });
  const text = (name: string) => query.get(name) ?? "";
  const content = html`<div class="heading"><h1>Hosts</h1>${may(principal, "enroll") ? disclosure("Enrol a host", enrollForm(visit)) : nothing}</div>
<form class="filter" action="/hosts" role="search" aria-label="Filter hosts">
  ${input("search", "Name", { value: text("search"), kind: "search" })}
  ${input("tenant", "Tenant", { value: text("tenant") })}
  ${select("state", "State", states, text("state"))}
  <button>Filter</button>${query.size > 0 ? html` <a class="quiet" href="/hosts">Clear</a>` : nothing}
</form>
${live({ ...visit, path: "/hosts" }, list(visit, page.items))}
${page.next === null ? nothing : html`<p><a class="button" href="${nextPage(query, page.next)}">More hosts</a></p>`}`;
  return { title: "Hosts", content };
}

function readFilter(query: URLSearchParams): Omit<HostQuery, "limit"> {
  const given = (name: string) => query.get(name)?.trim() || undefined;
  const state = given("state");
  return {
    search: given("search"),
    tenant: given("tenant"),
    state: state === "active" || state === "quarantined" || state === "revoked" ? state : undefined,
    troubled: state === "troubled" ? true : undefined,
    cursor: given("cursor"),
  };
}

function nextPage(query: URLSearchParams, cursor: string): string {
  const next = new URLSearchParams(query);
  next.set("cursor", cursor);
  return `/hosts?${next}`;
}

const columns: readonly Column[] = [
  { name: "Host" },
  { name: "State" },
  { name: "Orders" },
  { name: "Firewall" },
  { name: "Seen" },
  { name: "Version" },
  { name: "Problems", kind: "wide" },
  { name: "Change", kind: "action" },
];

function list(visit: Visit, hosts: readonly HostView[]): Html {
  const mayChange = may(visit.principal, "hosts");
  const rows = hosts.map((host) => ({
    id: `host-${host.host}`,
    isBad: host.state === "active" && (!host.connected || host.enforcing === false || host.problems.length > 0),
    cells: [
      html`<strong>${host.host}</strong> <span class="second">${host.tenant}${host.label === null ? "" : `, ${host.label}`}</span>`,
      stateOf(host),
      ordersOf(host),
      firewallOf(host),
      ago(host.lastSeenMs, visit.nowMs),
      host.version ?? "unknown",
      problemsOf(host),
      ...(mayChange ? [host.state === "revoked" ? nothing : changeForm(visit, host)] : []),
    ],
  }));
  const isFiltered = visit.query.size > 0;
  const empty = isFiltered
    ? html`No host matches. <a href="/hosts">Show all</a>.`
    : "No hosts yet. Open “Enrol a host”, run the command it gives on a host, and the host appears here within a minute.";
  const shown = mayChange ? columns : columns.slice(0, -1);
  return html`<section class="card">${table(shown, rows, { caption: "Hosts by name", empty })}</section>`;
}

function stateOf(host: HostView): Html {
  if (host.state !== "active") return html`<span class="badge state-bad">${host.state}</span>`;
  return host.connected
    ? html`<span class="badge state-good">connected</span>`
    : html`<span class="badge state-bad">away</span>`;
}

/** `behind` 0: it has carried out every order of the fleet. */
function ordersOf({ behind }: HostView): Content {
  if (behind === null) return html`<span class="quiet">unknown</span>`;
  return behind === 0 ? "in step" : html`<strong>${count(behind)} behind</strong>`;
}

function firewallOf(host: HostView): Content {
  const name = host.firewall ?? "unknown";
  if (host.observe) return html`${name} <span class="second">told to observe</span>`;
  if (host.enforcing === false) return html`${name} <span class="second"><strong>not enforcing</strong></span>`;
  const packets = host.blocked.reduce((sum, each) => sum + each.packets, 0);
  const lists = host.blocked.map((each) => `${nameOfList(each.list)}: ${count(each.packets)}`).join(", ");
  return packets === 0
    ? name
    : html`${name} <span class="second" title="${lists}">${count(packets)} packets stopped</span>`;
}

function problemsOf({ problems, clockSkewMs, contribute }: HostView): Content {
  const isOff = clockSkewMs !== null && Math.abs(clockSkewMs) > skewMsShown;
  const sentences = [
    ...problems,
    ...(isOff ? [`its clock is off by ${Math.round(clockSkewMs / 1000)} s`] : []),
    ...(contribute ? [] : ["its failures are not taken"]),
  ];
  return sentences.length === 0 ? html`<span class="quiet">none</span>` : sentences.join("; ");
}

function changeForm(visit: Visit, host: HostView): Html {
  const trust =
    host.state === "quarantined" ? (["trust", "Trust again"] as const) : (["quarantine", "Quarantine"] as const);
  const verbs = [
    ...(may(visit.principal, "quarantine") ? [trust] : []),
    host.observe ? (["enforce", "Enforce"] as const) : (["observe", "Only observe"] as const),
    host.contribute ? (["withhold", "Take no failures"] as const) : (["contribute", "Take failures"] as const),
  ];
  const hidden = html`<input type="hidden" name="formToken" value="${visit.formToken}"><input type="hidden" name="host" value="${host.host}">`;
  const revoke = html`<form method="post" action="/hosts/revoke" class="stack">${hidden}
  <p>Revoking is for good: its credentials become worthless, and it must be enrolled anew.</p>
  ${input("reason", "Why", { required: true })}<button class="danger">Revoke ${host.host}</button></form>`;
  return disclosure(
    "Change",
    html`<form method="post" action="/hosts/change" class="stack">${hidden}
  ${input("reason", "Why", { required: true })}
  <div class="actions">${verbs.map(([verb, name]) => html`<button name="verb" value="${verb}">${name}</button>`)}</div></form>
${revoke}`,
  );
}
