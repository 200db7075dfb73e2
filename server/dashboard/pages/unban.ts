import { html } from "hono/html";
import { Fleet2banError } from "../../../shared/errors.ts";
import type { UnbanReceipt } from "../../desk/desk.ts";
import { banCells, banColumns, netLink } from "../parts/ban-cells.ts";
import { type Form, fields } from "../parts/form.ts";
import { type Html, nothing } from "../parts/html.ts";
import { table } from "../parts/table.ts";
import { readUnbanReason, unbanReason } from "../parts/unban-form.ts";
import type { Page, Pages, Visit } from "../visit.ts";

/** One page of ticks. More at once is a policy's mistake, and mended there. */
const netsMax = 200;
/** Standing bans of one network, at most one per scope. */
const bansOfNetMax = 100;

/** Lifting several at once: first what would be lifted, then the lifting. */
export function unbanPages(pages: Pages): void {
  pages.get("/unban", "unban", (visit) => preview(visit, visit.query.getAll("net")));
  pages.post("/unban", "unban", unban, (visit, form) => preview(visit, form.all("net")));
}

async function preview(visit: Visit, texts: readonly string[]): Promise<Page> {
  const nets = readNets(texts);
  const { desk, principal, formToken, nowMs } = visit;
  const found = await Promise.all(nets.map((net) => desk.bans(principal, { net, active: true, limit: bansOfNetMax })));
  // The filter also finds what lies inside; an unban is of exactly this network.
  const bans = found.flatMap(({ items }) => items).filter((ban) => nets.includes(ban.net));
  const rows = bans.map((ban) => ({ id: `ban-${ban.id}`, cells: banCells(ban, nowMs) }));
  const content = html`<h1>Unban ${nets.length} ${nets.length === 1 ? "network" : "networks"}?</h1>
<section class="card">${table(banColumns, rows, { caption: "What will be lifted", empty: "None of these is banned any more." })}</section>
${
  bans.length === 0
    ? html`<p><a class="button" href="/bans">Back to the bans</a></p>`
    : html`<form method="post" action="/unban" class="card stack">
  <p>${bans.length} ${bans.length === 1 ? "ban" : "bans"} will be lifted on every host, with the hosts' own bans of the same networks.</p>
  <input type="hidden" name="formToken" value="${formToken}">
  ${nets.map((net) => html`<input type="hidden" name="net" value="${net}">`)}
  ${unbanReason}
  <div class="actions"><button class="primary">Unban them</button><a class="button" href="/bans">Keep them</a></div>
</form>`
}`;
  return { title: "Unban", content };
}

async function unban({ desk, principal }: Visit, form: Form): Promise<Page> {
  const nets = readNets(form.all("net"));
  const { reason, note } = readUnbanReason(form);
  const receipts: UnbanReceipt[] = [];
  for (const net of nets) receipts.push(await desk.unbanNet(principal, net, reason, { reason: note }));
  const lifted = receipts.reduce((sum, receipt) => sum + receipt.lifted.length, 0);
  const rows = receipts.map((receipt) => ({
    id: receipt.net,
    cells: [netLink(receipt.net), String(receipt.lifted.length), arrival(receipt)],
  }));
  const columns = [{ name: "Network" }, { name: "Bans lifted", kind: "number" }, { name: "Gone on" }] as const;
  const content = html`<h1>Lifted ${lifted} ${lifted === 1 ? "ban" : "bans"}</h1>
<section class="card">${table(columns, rows, { caption: "What was lifted", empty: nothing })}</section>
<p>Open a network to watch its receipts arrive. <a class="button" href="/bans">Back to the bans</a></p>`;
  return { title: "Unbanned", content };
}

function arrival({ applied, total, waiting }: UnbanReceipt): Html {
  const rest = waiting.length === 0 ? nothing : html` <span class="quiet">orders under way</span>`;
  return html`${applied} of ${total} hosts${rest}`;
}

function readNets(texts: readonly string[]): string[] {
  const nets = texts.slice(0, netsMax).map((text) => fields.net.safeParse(text).data);
  const known = [...new Set(nets.filter((net) => net !== undefined))];
  if (known.length === 0) throw new Fleet2banError("invalid", "nothing is selected; tick the bans to lift");
  return known;
}
