import { html } from "hono/html";
import { z } from "zod";
import { formatDurationMs } from "../../../shared/durations.ts";
import type { ApprovalView } from "../../desk/desk-views.ts";
import { netLink, portsOf } from "../parts/ban-cells.ts";
import { disclosure, fields, input, readForm } from "../parts/form.ts";
import { type Content, type Html, nothing } from "../parts/html.ts";
import { live } from "../parts/live.ts";
import { type Column, table } from "../parts/table.ts";
import { ago, left } from "../parts/time.ts";
import { may, type Next, type Page, type Pages, type Visit } from "../visit.ts";

const rowsMax = 100;

/** Four eyes: what is wider than one admin may ban or allow, until a second one has decided. */
export function approvalPages(pages: Pages): void {
  pages.get("/approvals", "look", show);
  pages.post(
    "/approvals",
    "reject",
    async ({ desk, principal }, form) => {
      const { id, verb, reason } = readForm(form, {
        id: fields.id,
        verb: z.enum(["approve", "reject"]),
        reason: fields.reason,
      });
      const { net, kind } = await desk[verb](principal, id, { reason });
      const done = kind === "ban" ? "is banned now" : "is allowed now; bans it covers are being lifted";
      return { to: "/approvals", notice: verb === "approve" ? `${net} ${done}.` : `Nothing will be done with ${net}.` };
    },
    show,
  );
}

/** Where a form leads whose wish needs a second admin. */
export function waitsFor({ id, net }: ApprovalView): Next {
  return { to: "/approvals", notice: `Nothing holds yet: ${net} is request ${id} and waits for a second admin.` };
}

const columns: readonly Column[] = [
  { name: "No.", kind: "number" },
  { name: "Wanted" },
  { name: "Network" },
  { name: "Scope" },
  { name: "For" },
  { name: "Ports" },
  { name: "Why", kind: "wide" },
  { name: "Asked" },
  { name: "State" },
  { name: "Decide", kind: "action" },
];

async function show(visit: Visit): Promise<Page> {
  const { desk, principal, query, nowMs } = visit;
  const isAll = query.get("state") === "all";
  const cursor = query.get("cursor") ?? undefined;
  const page = await desk.approvals(principal, { limit: rowsMax, waiting: !isAll, cursor });
  const rows = page.items.map((each) => ({
    id: `approval-${each.id}`,
    cells: [
      String(each.id),
      html`<strong>${each.kind}</strong>`,
      netLink(each.net),
      each.scope,
      each.spanMs === null ? "until lifted" : formatDurationMs(each.spanMs),
      portsOf(each.ports),
      html`${each.reason} <span class="second">${each.why}</span>`,
      html`${ago(each.askedMs, nowMs)} <span class="second">${each.askedBy}</span>`,
      stateOf(each, nowMs),
      each.state === "waiting" && may(principal, "reject") ? decide(visit, each) : nothing,
    ],
  }));
  const empty =
    "Nothing waits. A ban or a fleet-wide allow wider than limits.widestBan of the policy comes here first.";
  const next = new URLSearchParams(query);
  if (page.next !== null) next.set("cursor", page.next);
  const older = page.next === null ? nothing : html`<p><a class="button" href="/approvals?${next}">Older</a></p>`;
  const other = isAll
    ? html`<a class="button" href="/approvals">Only what waits</a>`
    : html`<a class="button" href="/approvals?state=all">Decided ones, too</a>`;
  const content = html`<div class="heading"><h1>Approvals</h1></div>
<p class="intro">Too wide for one pair of eyes. Whoever asked cannot approve; nothing holds until somebody else does.</p>
${live({ ...visit, path: "/approvals" }, html`<section class="card">${table(columns, rows, { caption: "Requests for a second admin", empty })}</section>`)}<p>${other}</p>${older}`;
  return { title: "Approvals", content };
}

function stateOf({ state, untilMs, decidedBy, decidedNote }: ApprovalView, nowMs: number): Content {
  if (state === "waiting") return html`waiting <span class="second">for another ${left(untilMs, nowMs)}</span>`;
  if (decidedBy === null) return state;
  return html`${state} <span class="second">by ${decidedBy}${decidedNote === null ? "" : `: ${decidedNote}`}</span>`;
}

function decide({ formToken }: Visit, { id, kind, net, mayApprove }: ApprovalView): Html {
  const verb = kind === "ban" ? "Ban" : "Allow";
  const form = html`<form method="post" action="/approvals" class="stack">
  <input type="hidden" name="formToken" value="${formToken}"><input type="hidden" name="id" value="${id}">
  ${mayApprove ? nothing : html`<p>You may not approve this one: it is yours, or takes an admin.</p>`}
  ${input("reason", "Why", { required: true })}
  <div class="actions">${mayApprove ? html`<button class="danger" name="verb" value="approve">${verb} ${net} now</button>` : nothing}<button name="verb" value="reject">${mayApprove ? "Reject it" : "Take it back"}</button></div></form>`;
  return disclosure("Decide", form);
}
