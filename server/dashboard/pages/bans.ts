import { html } from "hono/html";
import type { BanView } from "../../desk/desk.ts";
import { addressPath, banCells, banColumns } from "../parts/ban-cells.ts";
import { filterForm, readFilter } from "../parts/ban-filter.ts";
import { disclosure, fields, input, readForm } from "../parts/form.ts";
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
  <div class="actions"><button>Unban selected…</button><button type="button" class="scripted" data-tick="net">Select all shown</button>${wholeFilter(visit, isFiltered)}<span class="quiet">You will see what is lifted before it is.</span></div>
</form>`;
}

/** Ticks reach as far as one page; a filter reaches everything it finds. */
function wholeFilter({ principal, query }: Visit, isFiltered: boolean): Html {
  const state = query.get("state") ?? "";
  if (!isFiltered || state !== "" || !may(principal, "liftBans")) return nothing;
  return html`<a class="button" href="/unban/matching?${query}">Unban everything that matches…</a>`;
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
