import { html } from "hono/html";
import { z } from "zod";
import type { LiftFilter, LiftView } from "../../desk/desk-views.ts";
import { banCells, banColumns, levelName } from "../parts/ban-cells.ts";
import { readFilter } from "../parts/ban-filter.ts";
import { type Form, readForm } from "../parts/form.ts";
import { type Html, nothing } from "../parts/html.ts";
import { bars } from "../parts/meter.ts";
import { count, table } from "../parts/table.ts";
import { readUnbanReason, unbanReason } from "../parts/unban-form.ts";
import type { Page, Pages, Visit } from "../visit.ts";

/** Of one button: some ten seconds of waiting. Of more, the page offers to go on. */
const liftsMax = 20;
const limit = 1000;
/** Scopes named one by one. */
const scopesMax = 20;

/** Lifting all that a filter finds: first how many and which, then the lifting, then where it has arrived. */
export function unbanMatchingPages(pages: Pages): void {
  pages.get("/unban/matching", "liftBans", (visit) => preview(visit, visit.query));
  pages.post("/unban/matching", "liftBans", lift, refused);
}

/** The preview asks the desk again, which has just refused: the way back is enough. */
async function refused(_visit: Visit, form: Form): Promise<Page> {
  const content = html`<h1>Unban</h1><p><a class="button" href="/bans?${filterIn(form)}">Back to the bans</a></p>`;
  return { title: "Unban", content };
}

/** The filter travels as the query of the page it came from. */
const filterIn = (form: Form) => new URLSearchParams(form.text("filter"));

function readLiftFilter(query: URLSearchParams): LiftFilter {
  const { scope, net, level, jail, reason } = readFilter(query);
  return { scope, net, level, jail, reason };
}

async function preview({ desk, principal, formToken, nowMs }: Visit, query: URLSearchParams): Promise<Page> {
  const filter = readLiftFilter(query);
  const found = await desk.liftBans(principal, { filter, reason: "admin", limit }, { dryRun: true });
  const { remaining, sample } = found;
  const back = html`<a class="button" href="/bans?${query}">Keep them</a>`;
  if (remaining === 0) {
    return {
      title: "Unban",
      content: html`<h1>Unban</h1><p class="empty">Nothing that stands matches any more.</p>${back}`,
    };
  }
  const rows = sample.map((ban) => ({ id: `ban-${ban.id}`, cells: banCells(ban, nowMs) }));
  const title =
    sample.length < remaining ? `The newest ${sample.length} of ${count(remaining)}` : "What will be lifted";
  const content = html`<h1>Unban ${count(remaining)} ${remaining === 1 ? "ban" : "bans"}?</h1>
<div class="columns"><form method="post" action="/unban/matching" class="card stack">
  <p>Everything that matches <strong>${described(filter)}</strong> is lifted on every host, the oldest first. Bans made after this page was shown stay.</p>
  <input type="hidden" name="formToken" value="${formToken}"><input type="hidden" name="filter" value="${query.toString()}"><input type="hidden" name="upTo" value="${found.upTo}">
  ${unbanReason}
  <div class="actions"><button class="danger">Unban all ${count(remaining)}</button>${back}</div>
</form>
<section class="card"><h2>By level</h2>${levelBars(found)}</section></div>
<section class="card"><h2>${title}</h2>${table(banColumns, rows, { caption: title, empty: nothing })}</section>`;
  return { title: "Unban", content };
}

async function lift(visit: Visit, form: Form): Promise<Page> {
  const { desk, principal, formToken } = visit;
  const query = filterIn(form);
  const filter = readLiftFilter(query);
  const { upTo } = readForm(form, { upTo: z.coerce.number().int().positive() });
  const { reason, note } = readUnbanReason(form);
  const parts: LiftView[] = [];
  do parts.push(await desk.liftBans(principal, { filter, reason, upTo, limit }, { reason: note }));
  while ((parts.at(-1)?.remaining ?? 0) > 0 && parts.length < liftsMax);
  const lifted = parts.reduce((sum, part) => sum + part.lifted, 0);
  const remaining = parts.at(-1)?.remaining ?? 0;
  const goOn = html`<form method="post" action="/unban/matching" class="card stack">
  <p>${count(remaining)} more match.</p>
  <input type="hidden" name="formToken" value="${formToken}"><input type="hidden" name="filter" value="${query.toString()}"><input type="hidden" name="upTo" value="${upTo}">
  <input type="hidden" name="verdict" value="${form.text("verdict")}"><input type="hidden" name="note" value="${form.text("note")}">
  <button class="danger">Go on</button></form>`;
  const content = html`<h1>Lifted ${count(lifted)} ${lifted === 1 ? "ban" : "bans"}</h1>
${remaining > 0 ? goOn : nothing}
<section class="card"><h2>Where that has arrived</h2>${arrivals(parts)}</section>
<p>Hosts that are away do it when they are back. <a class="button" href="/bans">Back to the bans</a></p>`;
  return { title: "Unbanned", content };
}

function arrivals(parts: readonly LiftView[]): Html {
  const bans = new Map<string, number>();
  const latest = new Map<string, LiftView["scopes"][number]>();
  for (const each of parts.flatMap(({ scopes }) => scopes)) {
    bans.set(each.scope, (bans.get(each.scope) ?? 0) + each.bans);
    latest.set(each.scope, each);
  }
  const rows = [...latest.values()].slice(0, scopesMax).map(({ scope, lastBan, applied, total }) => ({
    id: `scope-${lastBan}`,
    cells: [scope, count(bans.get(scope) ?? 0), `${count(applied)} of ${count(total)} hosts`],
  }));
  const columns = [{ name: "Scope" }, { name: "Bans lifted", kind: "number" }, { name: "Gone on" }] as const;
  const more = latest.size - rows.length;
  return html`${table(columns, rows, { caption: "Where that has arrived", empty: nothing })}${more > 0 ? html`<p>and ${count(more)} more scopes</p>` : nothing}`;
}

function levelBars({ byLevel }: LiftView): Html {
  const names = Object.keys(byLevel).toSorted();
  return bars(names.map((name) => ({ name: levelName(name), value: byLevel[name] ?? 0 })));
}

function described(filter: LiftFilter): string {
  const named = Object.entries(filter).flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]));
  return named.length === 0 ? "no filter: every ban of the fleet" : named.join(", ");
}
