import { html } from "hono/html";
import { z } from "zod";
import { type ApiTokenView, roles } from "../../desk/desk.ts";
import { disclosure, type Form, fields, input, type Option, readForm, select } from "../parts/form.ts";
import { type Content, type Html, nothing } from "../parts/html.ts";
import { type Column, table } from "../parts/table.ts";
import { ago, left } from "../parts/time.ts";
import type { Page, Pages, Visit } from "../visit.ts";

const nameLengthMax = 100;
const roleChoices: readonly Option[] = [
  { value: "viewer", name: "viewer: sees" },
  { value: "support", name: "support: lifts bans" },
  { value: "operator", name: "operator: bans, allows, enrols hosts" },
  { value: "admin", name: "admin: everything" },
];

export function tokenPages(pages: Pages): void {
  pages.get("/tokens", "tokens", show);
  pages.post("/tokens", "tokens", make, show);
  pages.post(
    "/tokens/revoke",
    "tokens",
    async ({ desk, principal }, form) => {
      const { id } = readForm(form, { id: fields.id });
      await desk.revokeApiToken(principal, id);
      return { to: "/tokens", notice: "The token is revoked: the next request with it is refused." };
    },
    show,
  );
}

async function make(visit: Visit, form: Form): Promise<Page> {
  const { desk, principal } = visit;
  const { name, role, tenant, span } = readForm(form, {
    name: z.string().trim().min(1, "say what it is for").max(nameLengthMax),
    role: z.enum(roles),
    tenant: fields.nameOrNull,
    span: fields.span,
  });
  const request = { name, role, tenant: principal.tenant ?? tenant, durationMs: span };
  const made = await desk.addApiToken(principal, request);
  const content = html`<h1>Token “${made.name}”</h1>
<section class="card">
  <p>It is shown once. Keep it like a password; whoever has it is ${made.role}${made.tenant === null ? "" : ` of ${made.tenant}`}.</p>
  <pre class="command" id="secret" tabindex="0">${made.token}</pre>
  <button class="scripted" data-copy="secret">Copy</button> <a class="button" href="/tokens">Back to the tokens</a>
</section>`;
  return { title: "New token", content };
}

const columns: readonly Column[] = [
  { name: "Name" },
  { name: "Role" },
  { name: "For" },
  { name: "Made" },
  { name: "Last used" },
  { name: "Left" },
  { name: "Revoke", kind: "action" },
];

async function show(visit: Visit): Promise<Page> {
  const { desk, principal, nowMs } = visit;
  const tokens = await desk.apiTokens(principal);
  const [open, ended] = [
    tokens.filter((token) => token.revokedMs === null),
    tokens.filter((token) => token.revokedMs !== null),
  ];
  const row = (token: ApiTokenView) => ({
    id: `token-${token.id}`,
    cells: [
      html`<strong>${token.name}</strong>${token.id === principal.tokenId ? html` <span class="badge">yours</span>` : nothing}`,
      token.role,
      token.tenant ?? "whole fleet",
      ago(token.createdMs, nowMs),
      ago(token.lastUsedMs, nowMs),
      leftOf(token, nowMs),
      token.revokedMs === null ? revokeForm(visit, token) : nothing,
    ] satisfies Content[],
  });
  const shown = table(columns, open.map(row), { caption: "API tokens", empty: "No token is open." });
  const old = table(
    columns.slice(0, -1),
    ended.map(row).map(({ id, cells }) => ({ id, cells: cells.slice(0, -1) })),
    {
      caption: "Revoked tokens",
      empty: nothing,
    },
  );
  const content = html`<div class="heading"><h1>Tokens</h1>${disclosure("New token", newForm(visit))}</div>
<p class="intro">One token per program and person, with the least role that will do. A lost one is revoked here and dead at once.</p>
<section class="card">${shown}</section>
${ended.length === 0 ? nothing : html`<section class="card"><h2>Revoked</h2>${old}</section>`}`;
  return { title: "Tokens", content };
}

function leftOf({ untilMs, revokedMs }: ApiTokenView, nowMs: number): Content {
  if (revokedMs !== null) return html`<span class="quiet">revoked ${ago(revokedMs, nowMs)}</span>`;
  if (untilMs === null) return "no end";
  return untilMs <= nowMs ? html`<span class="quiet">over</span>` : left(untilMs, nowMs);
}

function revokeForm({ formToken, principal }: Visit, token: ApiTokenView): Html {
  const own = token.id === principal.tokenId ? html` <strong>It is the one you are logged in with.</strong>` : nothing;
  const form = html`<form method="post" action="/tokens/revoke" class="stack">
  <input type="hidden" name="formToken" value="${formToken}"><input type="hidden" name="id" value="${token.id}">
  <p>Revoke “${token.name}”? Whatever uses it stops working at once.${own}</p><button class="danger">Revoke it</button></form>`;
  return disclosure("Revoke", form);
}

function newForm({ formToken, principal }: Visit): Html {
  return html`<form method="post" action="/tokens" class="stack">
  <input type="hidden" name="formToken" value="${formToken}">
  ${input("name", "What it is for", { placeholder: "control panel", required: true })}
  ${select("role", "Role", roleChoices, "viewer")}
  ${principal.tenant === null ? input("tenant", "Tenant", { hint: "empty: the whole fleet" }) : nothing}
  ${input("span", "Valid for", { value: "90d", hint: "empty: no end" })}
  <button class="primary">Make it</button></form>`;
}
