import { html } from "hono/html";
import { formatNet, parseNet } from "../../../shared/address.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import { parseScope } from "../../../shared/order.ts";
import type { BanQuery, BanView } from "../../desk/desk.ts";
import { addressPath, banCells, banColumns } from "../parts/ban-cells.ts";
import { disclosure, fields, input, type Option, readForm, select } from "../parts/form.ts";
import { type Html, nothing } from "../parts/html.ts";
import { live } from "../parts/live.ts";
import { table } from "../parts/table.ts";
import { may, type Page, type Pages, type Visit } from "../visit.ts";
import { waitsFor } from "./approvals.ts";

/** Rows that a person reads on one page. */
const rowsMax = 100;

export function banPages(pages: Pages): void {
  pages.get("/bans", "look", show);
  pages.post(
    "/bans",
    "ban",
    async ({ desk, principal }, form) => {
      const { net, scope, span, reason } = readForm(form, {
        net: fields.net,
        scope: fields.scope,
        span: fields.span,
        reason: fields.reason,
      });
      const outcome = await desk.ban(principal, { net, scope, banTimeMs: span, ports: null, reason, dryRun: false });
      if (outcome.kind === "waits") return waitsFor(outcome.approval);
      return { to: addressPath(outcome.made.net), notice: "Banned. The order is on its way to every host it covers." };
    },
    show,
  );
}

async function show(visit: Visit): Promise<Page> {
  const { desk, principal, query } = visit;
  const filter = readFilter(query);
  const page = await desk.bans(principal, { ...filter, limit: rowsMax });
  const content = html`<div class="heading"><h1>Bans</h1>${may(principal, "ban") ? banForm(visit) : nothing}</div>
${filterForm(query)}
${live(visit, list(visit, page.items))}
${page.next === null ? nothing : html`<p><a class="button" href="${nextPage(query, page.next)}">Older bans</a></p>`}`;
  return { title: "Bans", content };
}

function list(visit: Visit, bans: readonly BanView[]): Html {
  const mayUnban = may(visit.principal, "unban");
  const isFiltered = [...visit.query.keys()].some((name) => name !== "cursor");
  const empty = isFiltered
    ? html`No ban matches. <a href="/bans">Show all that stand</a>.`
    : html`Nobody is banned. Bans appear here the moment a host's failures make one; to try it out, ban <code>192.0.2.1</code> by hand.`;
  const tick = (ban: BanView) =>
    ban.endedMs === null
      ? html`<input type="checkbox" name="net" value="${ban.net}" aria-label="Select ${ban.net}">`
      : nothing;
  const rows = bans.map((ban) => ({
    id: `ban-${ban.id}`,
    cells: mayUnban ? [tick(ban), ...banCells(ban, visit.nowMs)] : banCells(ban, visit.nowMs),
  }));
  const columns = mayUnban ? [{ name: "Select", kind: "action" } as const, ...banColumns] : banColumns;
  const shown = table(columns, rows, { caption: "Bans, newest first", empty });
  if (!mayUnban || bans.length === 0) return html`<section class="card">${shown}</section>`;
  return html`<form class="card" action="/unban">${shown}
  <div class="actions"><button>Unban selected…</button><button type="button" class="scripted" data-tick="net">Select all shown</button><span class="quiet">You will see what is lifted before it is.</span></div>
</form>`;
}

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

function filterForm(query: URLSearchParams): Html {
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
function readFilter(query: URLSearchParams): Omit<BanQuery, "limit"> {
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

function nextPage(query: URLSearchParams, cursor: string): string {
  const next = new URLSearchParams(query);
  next.set("cursor", cursor);
  return `/bans?${next}`;
}

function banForm({ formToken, principal }: Visit): Html {
  const scope = principal.tenant === null ? "fleet" : `tenant:${principal.tenant}`;
  const form = html`<form method="post" action="/bans" class="stack">
  <input type="hidden" name="formToken" value="${formToken}">
  ${input("net", "Address or network", { placeholder: "192.0.2.1", required: true })}
  ${input("scope", "Scope", { value: scope, required: true })}
  ${input("span", "For", { value: "1h", hint: "empty: until somebody lifts it" })}
  ${input("reason", "Why", { placeholder: "scans every host", required: true })}
  <button class="danger">Ban</button>
</form>`;
  return disclosure("Ban by hand", form);
}
