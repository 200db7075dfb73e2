import { html } from "hono/html";
import { Fleet2banError } from "../../../shared/errors.ts";
import type { AuditView } from "../../desk/log-views.ts";
import { disclosure, fields, input } from "../parts/form.ts";
import { type Content, type Html, nothing } from "../parts/html.ts";
import { live } from "../parts/live.ts";
import { type Column, count, table } from "../parts/table.ts";
import { clock } from "../parts/time.ts";
import { may, type Page, type Pages, type Visit } from "../visit.ts";

const rowsMax = 100;
/** Hosts named one by one. */
const namedMax = 20;

/** Who did what and why. Nothing here can be changed, and a change made behind our back is found. */
export function auditPages(pages: Pages): void {
  pages.get("/audit", "audit", show);
  pages.get("/audit/reach", "audit", reach);
  pages.post(
    "/audit/verify",
    "verifyAudit",
    async ({ desk, principal }) => {
      const { entries, brokenAt } = await desk.verifyAudit(principal);
      const found =
        brokenAt === null
          ? `Checked ${count(entries)} entries: nobody has touched them.`
          : `Entry ${brokenAt} was changed, or one before it was removed. Compare with a backup.`;
      return { to: "/audit", notice: found };
    },
    show,
  );
}

const columns: readonly Column[] = [
  { name: "No.", kind: "number" },
  { name: "When (UTC)" },
  { name: "Who" },
  { name: "Did" },
  { name: "To" },
  { name: "Why", kind: "wide" },
  { name: "Detail", kind: "action" },
];

async function show(visit: Visit): Promise<Page> {
  const { desk, principal, query } = visit;
  const given = (name: string) => query.get(name)?.trim() || undefined;
  const filter = { actor: given("actor"), action: given("action"), target: given("target"), cursor: given("cursor") };
  const page = await desk.audit(principal, { ...filter, limit: rowsMax });
  const rows = page.items.map((entry) => ({
    id: `entry-${entry.sequence}`,
    cells: [
      count(entry.sequence),
      clock(entry.atMs),
      entry.actor,
      html`<strong>${entry.action}</strong>`,
      entry.target,
      whyOf(entry),
      detailOf(entry),
    ],
  }));
  const next = new URLSearchParams(query);
  if (page.next !== null) next.set("cursor", page.next);
  const older =
    page.next === null ? nothing : html`<p><a class="button" href="/audit?${next.toString()}">Older entries</a></p>`;
  const content = html`<div class="heading"><h1>Audit</h1>
  ${may(principal, "verifyAudit") ? verifyForm(visit) : nothing}</div>
<form class="filter" action="/audit" role="search" aria-label="Filter the audit log">
  ${input("actor", "Who", { value: filter.actor ?? "" })}
  ${input("action", "Did", { value: filter.action ?? "", placeholder: "unban" })}
  ${input("target", "To", { value: filter.target ?? "", placeholder: "192.0.2.1/32" })}
  <button>Filter</button>${query.size > 0 ? html` <a class="quiet" href="/audit">Clear</a>` : nothing}
</form>
${live(
  { ...visit, path: "/audit" },
  html`<section class="card">${table(columns, rows, { caption: "Audit log, newest first", empty: "No entry matches." })}</section>`,
)}${older}`;
  return { title: "Audit", content };
}

/** Where one act has arrived by now. */
async function reach(visit: Visit): Promise<Page> {
  const { desk, principal, query } = visit;
  const entry = fields.id.safeParse(query.get("entry")).data;
  if (entry === undefined) throw new Fleet2banError("invalid", "entry: choose one from the audit log");
  const { scopes } = await desk.auditReach(principal, entry);
  const rows = scopes.map(({ scope, applied, total, waiting }) => ({
    id: `reach-${scope}`,
    cells: [scope, `${count(applied)} of ${count(total)} hosts`, waiting.slice(0, namedMax).join(", ")],
  }));
  const columns = [{ name: "Scope" }, { name: "Carried out on" }, { name: "Waiting for", kind: "wide" }] as const;
  const empty = "It ordered nothing to hosts, or its orders are forgotten by now: they are kept for a week.";
  const shown = table(columns, rows, { caption: "Hosts it has reached", empty });
  const isWaiting = scopes.some(({ applied, total }) => applied < total);
  const content = html`<h1>Entry ${count(entry)}: hosts it has reached</h1>
${live({ ...visit, path: "/audit/reach" }, html`<section class="card">${shown}</section>`, isWaiting)}
<p><a class="button" href="/audit">Back to the log</a></p>`;
  return { title: "Reached", content };
}

function verifyForm({ formToken }: Visit): Html {
  return html`<form method="post" action="/audit/verify"><input type="hidden" name="formToken" value="${formToken}"><button>Check the whole log</button></form>`;
}

function whyOf({ detail }: AuditView): Content {
  return typeof detail.note === "string" ? detail.note : nothing;
}

function detailOf({ sequence, detail, hash }: AuditView): Html {
  const shown = JSON.stringify(detail, null, 2);
  return disclosure(
    "Detail",
    html`<pre class="document" tabindex="0">${shown}</pre><p><a href="/audit/reach?entry=${sequence}">Hosts it has reached</a></p><p class="quiet">Hash <code>${hash}</code></p>`,
  );
}
