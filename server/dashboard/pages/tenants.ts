import { html } from "hono/html";
import { z } from "zod";
import type { TenantView } from "../../desk/desk.ts";
import { disclosure, fields, input, type Option, readForm, select } from "../parts/form.ts";
import { type Html, nothing } from "../parts/html.ts";
import { live } from "../parts/live.ts";
import { type Column, count, table } from "../parts/table.ts";
import { ago } from "../parts/time.ts";
import { may, type Page, type Pages, type Visit } from "../visit.ts";

const trust = z.enum(["full", "vote"]);
const trusts: readonly Option[] = [
  { value: "vote", name: "vote: a customer; bans its own hosts, and has one vote for the fleet" },
  { value: "full", name: "full: our own hosts; their incidents ban fleet-wide" },
];

export function tenantPages(pages: Pages): void {
  pages.get("/tenants", "look", show);
  pages.post(
    "/tenants",
    "tenants",
    async ({ desk, principal }, form) => {
      const tenant = await desk.addTenant(principal, readForm(form, { name: fields.name, trust }));
      return { to: "/tenants", notice: `Tenant ${tenant.name} is there; make an enrolment token for its hosts next.` };
    },
    show,
  );
  pages.post(
    "/tenants/change",
    "tenants",
    async ({ desk, principal }, form) => {
      const change = readForm(form, {
        name: fields.name,
        trust,
        quarantined: z.enum(["yes", "no"]),
        reason: fields.reason,
      });
      const { name, reason } = change;
      const wanted = { trust: change.trust, quarantined: change.quarantined === "yes" };
      await desk.changeTenant(principal, name, wanted, { reason, ifMatch: form.text("etag") });
      return { to: "/tenants", notice: `Tenant ${name} is changed.` };
    },
    show,
  );
}

const columns: readonly Column[] = [
  { name: "Tenant" },
  { name: "Trust" },
  { name: "Vote" },
  { name: "Hosts", kind: "number" },
  { name: "Since" },
  { name: "Change", kind: "action" },
];

async function show(visit: Visit): Promise<Page> {
  const { desk, principal, nowMs } = visit;
  const mayChange = may(principal, "tenants");
  const tenants = await desk.tenants(principal);
  const rows = tenants.map((tenant) => ({
    id: `tenant-${tenant.name}`,
    cells: [
      html`<strong>${tenant.name}</strong>`,
      tenant.trust,
      tenant.quarantined ? html`<span class="badge state-bad">quarantined</span>` : "counts",
      html`<a href="/hosts?tenant=${encodeURIComponent(tenant.name)}">${count(tenant.hosts)}</a>`,
      ago(tenant.createdMs, nowMs),
      ...(mayChange ? [changeForm(visit, tenant)] : []),
    ],
  }));
  const shown = table(mayChange ? columns : columns.slice(0, -1), rows, { caption: "Tenants", empty: "No tenants." });
  const content = html`<div class="heading"><h1>Tenants</h1>${mayChange ? addForm(visit) : nothing}</div>
<p class="intro">A tenant owns hosts. What its hosts report is evidence for its own bans; only tenants of trust <em>full</em> ban for everybody at once.</p>
${live({ ...visit, path: "/tenants" }, html`<section class="card">${shown}</section>`)}`;
  return { title: "Tenants", content };
}

function addForm({ formToken }: Visit): Html {
  const form = html`<form method="post" action="/tenants" class="stack">
  <input type="hidden" name="formToken" value="${formToken}">
  ${input("name", "Name", { placeholder: "acme", required: true, hint: "a-z, 0-9 and -" })}
  ${select("trust", "Trust", trusts, "vote")}
  <button class="primary">Add</button>
</form>`;
  return disclosure("Add a tenant", form);
}

function changeForm({ formToken }: Visit, tenant: TenantView): Html {
  const votes: readonly Option[] = [
    { value: "no", name: "counts" },
    { value: "yes", name: "quarantined: it has no vote" },
  ];
  const form = html`<form method="post" action="/tenants/change" class="stack">
  <input type="hidden" name="formToken" value="${formToken}"><input type="hidden" name="name" value="${tenant.name}"><input type="hidden" name="etag" value="${tenant.etag}">
  ${select("trust", "Trust", trusts, tenant.trust)}
  ${select("quarantined", "Vote", votes, tenant.quarantined ? "yes" : "no")}
  ${input("reason", "Why", { required: true })}
  <button class="primary">Change ${tenant.name}</button>
</form>`;
  return disclosure("Change", form);
}
