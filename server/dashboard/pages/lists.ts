import { html } from "hono/html";
import type { RuleKind, RuleView } from "../../desk/desk.ts";
import { netLink } from "../parts/ban-cells.ts";
import { disclosure, type Form, fields, input, readForm } from "../parts/form.ts";
import { type Html, nothing } from "../parts/html.ts";
import { live } from "../parts/live.ts";
import { type Column, table } from "../parts/table.ts";
import { ago, left } from "../parts/time.ts";
import { may, type Page, type Pages, type Visit } from "../visit.ts";
import { waitsFor } from "./approvals.ts";

const rowsMax = 200;

const about: Readonly<Record<RuleKind, Readonly<{ title: string; says: string; empty: string }>>> = {
  allow: {
    title: "Allow",
    says: "Failures from here count for nothing. Adding one lifts the bans it covers.",
    empty: "Nothing is allowed yet. Customers' offices and monitoring belong here, best with an end.",
  },
  never: {
    title: "Never",
    says: "Nothing may ban these, whoever orders it; the hosts check it again.",
    empty:
      "Nothing but the built-in ranges. Put here what must never be locked out: your own offices, monitoring, payment providers.",
  },
};

export function listPages(pages: Pages): void {
  pages.get("/lists", "look", show);
  for (const kind of ["allow", "never"] as const) {
    pages.post(`/lists/${kind}`, kind, (visit, form) => add(visit, kind, form), show);
    pages.post(`/lists/${kind}/remove`, kind, (visit, form) => remove(visit, kind, form), show);
  }
}

async function add({ desk, principal }: Visit, kind: RuleKind, form: Form) {
  const { net, span, reason, tenant } = readForm(form, {
    net: fields.net,
    span: fields.span,
    reason: fields.reason,
    tenant: fields.nameOrNull,
  });
  const owner = kind === "never" ? null : (principal.tenant ?? tenant);
  const outcome = await desk.addRule(principal, kind, { net, tenant: owner, reason, durationMs: span });
  if (outcome.kind === "waits") return waitsFor(outcome.approval);
  return { to: "/lists", notice: `${outcome.made.net} is on the ${kind} list; bans it covers are being lifted.` };
}

async function remove({ desk, principal }: Visit, kind: RuleKind, form: Form) {
  const { id } = readForm(form, { id: fields.id });
  await desk.removeRule(principal, kind, id);
  return { to: "/lists", notice: `Removed from the ${kind} list.` };
}

async function show(visit: Visit): Promise<Page> {
  const { desk, principal, query } = visit;
  // What nobody may ban names others' addresses: a tenant does not read it.
  const kinds: readonly RuleKind[] = principal.tenant === null ? ["never", "allow"] : ["allow"];
  const cursorOf = (kind: RuleKind) => query.get(`${kind}After`) ?? undefined;
  const pages = await Promise.all(
    kinds.map((kind) => desk.rules(principal, kind, { limit: rowsMax, cursor: cursorOf(kind) })),
  );
  const lists = kinds.map((kind, index) => list(visit, kind, pages[index]?.items ?? []));
  const more = kinds.map((kind, index) => {
    const next = pages[index]?.next ?? null;
    return next === null
      ? nothing
      : html`<p><a class="button" href="/lists?${kind}After=${encodeURIComponent(next)}">Older ${kind} entries</a></p>`;
  });
  const content = html`<div class="heading"><h1>Allow &amp; never</h1>
  ${may(principal, "allow") ? disclosure("Allow…", addForm(visit, "allow")) : nothing}
  ${may(principal, "never") ? disclosure("Never ban…", addForm(visit, "never")) : nothing}</div>
<p class="intro">The strongest wins: never, then a tenant's allow, a tenant's ban, the fleet's allow, the fleet's ban, a feed.</p>
${live({ ...visit, path: "/lists" }, html`${lists}`)}${more}`;
  return { title: "Allow & never", content };
}

const columns: readonly Column[] = [
  { name: "Network" },
  { name: "For" },
  { name: "Why", kind: "wide" },
  { name: "By" },
  { name: "Since" },
  { name: "Left" },
  { name: "Remove", kind: "action" },
];

function list(visit: Visit, kind: RuleKind, rules: readonly RuleView[]): Html {
  const { title, says, empty } = about[kind];
  const rows = rules.map((rule) => ({
    id: `${kind}-${rule.id}`,
    cells: [
      netLink(rule.net),
      rule.tenant ?? "whole fleet",
      rule.reason,
      rule.by,
      ago(rule.createdMs, visit.nowMs),
      left(rule.untilMs, visit.nowMs),
      mayRemove(visit, kind, rule) ? removeForm(visit, kind, rule) : nothing,
    ],
  }));
  return html`<section class="card"><h2>${title}</h2><p class="quiet">${says}</p>${table(columns, rows, { caption: `${title} list`, empty })}</section>`;
}

function mayRemove({ principal }: Visit, kind: RuleKind, rule: RuleView): boolean {
  return may(principal, kind) && (principal.tenant === null || rule.tenant === principal.tenant);
}

function removeForm({ formToken }: Visit, kind: RuleKind, rule: RuleView): Html {
  const sentence =
    kind === "never"
      ? "From then on it can be banned like any other address."
      : "From then on its failures count again.";
  const form = html`<form method="post" action="/lists/${kind}/remove" class="stack">
  <input type="hidden" name="formToken" value="${formToken}"><input type="hidden" name="id" value="${rule.id}">
  <p>Remove ${rule.net} from the ${kind} list? ${sentence}</p><button class="danger">Remove it</button></form>`;
  return disclosure("Remove", form);
}

function addForm({ formToken, principal }: Visit, kind: RuleKind): Html {
  const isFleets = kind === "allow" && principal.tenant === null;
  return html`<form method="post" action="/lists/${kind}" class="stack">
  <input type="hidden" name="formToken" value="${formToken}"><p>${about[kind].says}</p>
  ${input("net", "Address or network", { placeholder: "198.51.100.0/24", required: true })}
  ${isFleets ? input("tenant", "Tenant", { hint: "empty: the whole fleet" }) : nothing}
  ${input("span", "For", { placeholder: "30d", hint: "empty: until removed" })}
  ${input("reason", "Why", { placeholder: "our office", required: true })}
  <button class="primary">${kind === "allow" ? "Allow" : "Never ban"}</button></form>`;
}
