import { html } from "hono/html";
import { z } from "zod";
import type { HeldView } from "../../desk/log-views.ts";
import { evidenceOf, netLink, portsOf } from "../parts/ban-cells.ts";
import { disclosure, fields, input, readForm } from "../parts/form.ts";
import { type Html, nothing } from "../parts/html.ts";
import { live } from "../parts/live.ts";
import { type Column, table } from "../parts/table.ts";
import { ago } from "../parts/time.ts";
import { may, type Page, type Pages, type Visit } from "../visit.ts";

const rowsMax = 100;

/** What the brake stopped: more fleet bans in a minute than the policy lets pass without a person. */
export function heldPages(pages: Pages): void {
  pages.get("/held", "held", show);
  pages.post(
    "/held",
    "decideHeld",
    async ({ desk, principal }, form) => {
      const { id, verb, reason } = readForm(form, {
        id: fields.id,
        verb: z.enum(["release", "drop"]),
        reason: fields.reason,
      });
      const { net } = await desk.decideHeld(principal, id, verb, { reason });
      const notice =
        verb === "release" ? `${net} is banned now.` : `${net} is forgotten; its next failures count anew.`;
      return { to: "/held", notice };
    },
    show,
  );
}

const columns: readonly Column[] = [
  { name: "Network" },
  { name: "Scope" },
  { name: "Reason" },
  { name: "Failures" },
  { name: "Ports" },
  { name: "Why it is held", kind: "wide" },
  { name: "Since" },
  { name: "Decide", kind: "action" },
];

async function show(visit: Visit): Promise<Page> {
  const { desk, principal, query, nowMs } = visit;
  const page = await desk.held(principal, { limit: rowsMax, cursor: query.get("cursor") ?? undefined });
  const rows = page.items.map((held) => ({
    id: `held-${held.id}`,
    cells: [
      netLink(held.net),
      held.scope,
      held.reason,
      evidenceOf(held),
      portsOf(held.ports),
      held.why,
      ago(held.atMs, nowMs),
      may(principal, "decideHeld") ? decide(visit, held) : nothing,
    ],
  }));
  const empty =
    "Nothing is held. When more fleet bans are due within a minute than the policy lets pass, they wait here for you.";
  const older =
    page.next === null
      ? nothing
      : html`<p><a class="button" href="/held?cursor=${encodeURIComponent(page.next)}">Older</a></p>`;
  const content = html`<h1>Held</h1>
<p class="intro">Bans that were due and wait for a person. Release one to ban it now; drop it to forget it.</p>
${live({ ...visit, path: "/held" }, html`<section class="card">${table(columns, rows, { caption: "Held bans", empty })}</section>`)}${older}`;
  return { title: "Held", content };
}

function decide({ formToken }: Visit, held: HeldView): Html {
  const form = html`<form method="post" action="/held" class="stack">
  <input type="hidden" name="formToken" value="${formToken}"><input type="hidden" name="id" value="${held.id}">
  ${input("reason", "Why", { required: true })}
  <div class="actions"><button class="danger" name="verb" value="release">Ban ${held.net} now</button><button name="verb" value="drop">Drop it</button></div></form>`;
  return disclosure("Decide", form);
}
