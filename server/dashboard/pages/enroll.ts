import { html } from "hono/html";
import { dayMs } from "../../../shared/durations.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import { type Form, fields, input, readForm } from "../parts/form.ts";
import { type Html, nothing } from "../parts/html.ts";
import { table } from "../parts/table.ts";
import { ago, clock, left } from "../parts/time.ts";
import type { Page, Pages, Visit } from "../visit.ts";

/** One rollout's worth of hosts; more is a new token, so that a leaked one stays small. */
const usesMax = 10_000;
const rowsMax = 50;

export function enrollPages(pages: Pages): void {
  pages.get("/enroll", "enroll", show);
  pages.post("/enroll", "enroll", make, show);
  pages.post(
    "/enroll/revoke",
    "enroll",
    async ({ desk, principal }, form) => {
      const { id } = readForm(form, { id: fields.id });
      await desk.revokeEnrollmentToken(principal, id);
      return { to: "/enroll", notice: "The token is revoked: nobody can enrol with it any more." };
    },
    show,
  );
}

export function enrollForm({ formToken, principal }: Visit): Html {
  const tenant = principal.tenant ?? "default";
  return html`<form method="post" action="/enroll" class="stack">
  <input type="hidden" name="formToken" value="${formToken}">
  ${input("tenant", "Tenant", { value: tenant, required: true })}
  ${input("host", "Host's name", { hint: "empty: what the host calls itself" })}
  ${input("uses", "Hosts", { value: "1", kind: "number", required: true })}
  ${input("span", "Valid for", { value: "1d" })}
  <button class="primary">Make the command</button>
  <a class="quiet" href="/enroll">Tokens that are open</a>
</form>`;
}

async function make({ desk, principal, nowMs }: Visit, form: Form): Promise<Page> {
  const read = readForm(form, { tenant: fields.name, host: fields.nameOrNull, uses: fields.id, span: fields.span });
  if (read.uses > usesMax) throw new Fleet2banError("invalid", `uses: at most ${usesMax} hosts per token`);
  const request = { tenant: read.tenant, host: read.host, uses: read.uses, durationMs: read.span ?? dayMs };
  const { token, untilMs, uses } = await desk.addEnrollmentToken(principal, request);
  const content = html`<h1>Enrol ${uses === 1 ? "a host" : `${uses} hosts`}</h1>
<section class="card">
  <p>Run this on ${uses === 1 ? "the host" : "each host"}, as root. It is shown once and is valid for ${left(untilMs, nowMs)}, until ${clock(untilMs)} UTC.</p>
  <pre class="command" id="command" tabindex="0">fleet2ban-agent enroll ${token}</pre>
  <button class="scripted" data-copy="command">Copy</button>
  <p class="quiet">The host makes its own key and gets credentials for tenant ${read.tenant}. Then start the agent: <code>systemctl enable --now fleet2ban-agent</code>. It appears under <a href="/hosts">Hosts</a> within a minute.</p>
</section>`;
  return { title: "Enrol", content };
}

async function show(visit: Visit): Promise<Page> {
  const { desk, principal, nowMs, formToken } = visit;
  const page = await desk.enrollmentTokens(principal, { limit: rowsMax });
  const rows = page.items.map((token) => ({
    id: `token-${token.id}`,
    cells: [
      token.tenant,
      token.host ?? "any",
      token.ended ? html`<span class="quiet">ended</span>` : `${token.usesLeft} left`,
      ago(token.createdMs, nowMs),
      token.by,
      left(token.untilMs, nowMs),
      token.ended
        ? nothing
        : html`<form method="post" action="/enroll/revoke"><input type="hidden" name="formToken" value="${formToken}"><input type="hidden" name="id" value="${token.id}"><button>Revoke</button></form>`,
    ],
  }));
  const columns = [
    ...["Tenant", "Host", "Uses", "Made", "By", "Left"].map((name) => ({ name })),
    { name: "Revoke", kind: "action" } as const,
  ];
  const content = html`<h1>Enrolment tokens</h1>
<section class="card">${table(columns, rows, { caption: "Enrolment tokens", empty: "None. Make one below and run its command on a host." })}</section>
<section class="card"><h2>New token</h2>${enrollForm(visit)}</section>`;
  return { title: "Enrol", content };
}
