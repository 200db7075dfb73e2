import { html } from "hono/html";
import { formatNet, parseNet, widen } from "../../../shared/address.ts";
import { dayMs } from "../../../shared/durations.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import type { Explanation } from "../../desk/address-views.ts";
import type { FailureView, UnbanReceipt } from "../../desk/desk.ts";
import { addressActions } from "../parts/address-actions.ts";
import { addressPath, levelBadge, netLink, portsOf, shortNet } from "../parts/ban-cells.ts";
import { fields, readForm } from "../parts/form.ts";
import { homeCard } from "../parts/home.ts";
import { type Html, nothing } from "../parts/html.ts";
import { live } from "../parts/live.ts";
import { receiptOf } from "../parts/receipt.ts";
import { count, table } from "../parts/table.ts";
import { ago, left } from "../parts/time.ts";
import { timeline } from "../parts/timeline.ts";
import { readUnbanReason } from "../parts/unban-form.ts";
import type { Page, Pages, Visit } from "../visit.ts";
import { waitsFor } from "./approvals.ts";

/** Bans whose removal one page follows; an unban lifts one per scope. */
const receiptsMax = 8;

/** The newest lines say what it wants; the timeline above adds up the rest. */
const failuresMax = 20;
const failuresMs = 7 * dayMs;

/** Everything about one address, and what can be done about it. */
export function addressPages(pages: Pages): void {
  pages.get("/address", "look", (visit) => show(visit, visit.query.get("ip") ?? ""));
  pages.post(
    "/address/unban",
    "unban",
    async ({ desk, principal }, form) => {
      const { net } = readForm(form, { net: fields.net });
      const { reason, note } = readUnbanReason(form);
      const { lifted, total } = await desk.unbanNet(principal, net, reason, { reason: note });
      const watched = lifted.slice(0, receiptsMax).map((id) => `&lifted=${id}`);
      const what = lifted.length === 1 ? "1 ban" : `${lifted.length} bans`;
      const notice =
        lifted.length === 0 && total === 0 ? "No ban was left to lift." : `Lifted ${what}; the hosts are removing it.`;
      return { to: `${addressPath(net)}${watched.join("")}`, notice };
    },
    (visit, form) => show(visit, form.text("net")),
  );
  for (const kind of ["allow", "never"] as const) {
    pages.post(
      `/address/${kind}`,
      kind,
      async ({ desk, principal }, form) => {
        const { net, span, reason } = readForm(form, { net: fields.net, span: fields.span, reason: fields.reason });
        const { tenant } = principal;
        const outcome = await desk.addRule(principal, kind, { net, tenant, reason, durationMs: span });
        if (outcome.kind === "waits") return waitsFor(outcome.approval);
        return { to: addressPath(net), notice: `Put on the ${kind} list; bans it covers are being lifted.` };
      },
      (visit, form) => show(visit, form.text("net")),
    );
  }
}

async function show(visit: Visit, text: string): Promise<Page> {
  const { desk, principal } = visit;
  const parsed = parseNet(text.trim());
  if (parsed === undefined) {
    throw new Fleet2banError("invalid", `"${text}" is not an address or network; write 192.0.2.1 or 192.0.2.0/24`);
  }
  const net = formatNet(parsed);
  const [known, receipts, failures] = await Promise.all([
    desk.explain(principal, net),
    receiptsOf(visit),
    desk.failures(principal, { net, limit: failuresMax, withinMs: failuresMs }),
  ]);
  const isWaiting = receipts.some((receipt) => receipt.waiting.length > 0 || receipt.applied < receipt.total);
  const content = live(
    { ...visit, path: "/address", query: keptQuery(visit, net) },
    html`<div class="heading"><h1><code>${shortNet(net)}</code></h1>${stateBadge(known)}</div>
<p class="summary">${known.summary}</p>
${addressActions(visit, net, known)}
${receipts.map(receiptOf)}
<div class="columns"><div>${standing(visit, known)}<section class="card"><h2>Timeline</h2>${timeline(known)}</section>${latest(visit, failures.items)}</div>
<div>${facts(visit, net, known)}${homeCard(known.home)}${protection(visit, known)}</div></div>`,
    isWaiting,
  );
  return { title: shortNet(net), content };
}

/** After a form was refused the page is at the form's path; what updates itself is the address. */
function keptQuery({ query }: Visit, net: string): URLSearchParams {
  const kept = new URLSearchParams({ ip: shortNet(net) });
  for (const id of query.getAll("lifted").slice(0, receiptsMax)) kept.append("lifted", id);
  return kept;
}

async function receiptsOf({ desk, principal, query }: Visit): Promise<readonly UnbanReceipt[]> {
  const ids = query
    .getAll("lifted")
    .slice(0, receiptsMax)
    .filter((id) => /^[1-9]\d{0,14}$/.test(id));
  const found = await Promise.all(
    // A ban that is forgotten by now has no receipt; the page has enough to say without it.
    ids.map((id) => desk.receipt(principal, Number(id)).catch(() => undefined)),
  );
  return found.filter((receipt) => receipt !== undefined);
}

function stateBadge({ banned, rules }: Explanation): Html {
  if (banned) return html`<span class="badge state-bad">banned</span>`;
  if (rules.length > 0) return html`<span class="badge state-good">protected</span>`;
  return html`<span class="badge">not banned</span>`;
}

function standing({ nowMs }: Visit, known: Explanation): Html {
  const rows = known.bans.map((ban) => ({
    id: `ban-${ban.id}`,
    cells: [
      netLink(ban.net),
      html`${levelBadge(ban.level, ban.reason)} ${ban.scope}`,
      ban.reason,
      portsOf(ban.ports),
      left(ban.untilMs, nowMs),
      `${ban.inForceOn.applied} of ${ban.inForceOn.total} hosts`,
      ban.mayBeLiftedBy,
    ],
  }));
  const columns = [
    { name: "Network" },
    { name: "Ban" },
    { name: "Why" },
    { name: "Ports" },
    { name: "Left" },
    { name: "In force on" },
    { name: "May be lifted by", kind: "wide" },
  ] as const;
  const shown = table(columns, rows, { caption: "Bans that stand", empty: "No ban of the fleet or a tenant stands." });
  const local = known.localBans.map((ban) => ({
    id: `host-${ban.tenant}-${ban.host}-${ban.jail}`,
    cells: [
      `${ban.tenant}/${ban.host}`,
      ban.jail,
      netLink(ban.net),
      ago(ban.startedMs, nowMs),
      left(ban.untilMs, nowMs),
    ],
  }));
  const names = ["Host", "Jail", "Network", "Since", "Left"].map((name) => ({ name }));
  const hosts = html`<h2>Hosts' own bans</h2>${table(names, local, { caption: "Bans hosts made by themselves", empty: nothing })}`;
  return html`<section class="card"><h2>Bans that stand</h2>${shown}${local.length > 0 ? hosts : nothing}</section>`;
}

/** Log lines are the attacker's own words: shown as text, never as anything else. */
function latest({ nowMs }: Visit, failures: readonly FailureView[]): Html {
  if (failures.length === 0) return nothing;
  const rows = failures.map((failure, index) => ({
    id: `failure-${failure.tenant}-${failure.host}-${failure.atMs}-${index}`,
    cells: [
      ago(failure.atMs, nowMs),
      `${failure.tenant}/${failure.host}`,
      failure.jail,
      count(failure.count),
      meaning[failure.weight] ?? failure.weight,
      failure.sample === null ? nothing : html`<code>${failure.sample}</code>`,
    ],
  }));
  const columns = [
    { name: "When" },
    { name: "Host" },
    { name: "Jail" },
    { name: "Lines", kind: "number" },
    { name: "Counts" },
    { name: "Log line", kind: "wide" },
  ] as const;
  return html`<section class="card"><h2>Latest failures</h2>${table(columns, rows, { caption: "Latest failures", empty: nothing })}</section>`;
}

const meaning: Readonly<Record<string, string>> = {
  fleet: "yes",
  tenant: "for its tenant",
  banned: "no, banned by then",
  allowed: "no, allowed",
  quarantined: "no, host quarantined",
  late: "no, too late",
};

/** Where the address stands on the ladder: its latest automatic ban, over all scopes. */
function ladderPosition({ bans, history }: Explanation, nowMs: number): Html {
  const [latest] = [...bans, ...history]
    .filter((ban) => ban.level !== null)
    .toSorted((one, other) => other.startedMs - one.startedMs);
  if (latest === undefined) return html`no automatic ban yet`;
  return html`${levelBadge(latest.level, latest.reason)} ${ago(latest.startedMs, nowMs)}`;
}

function facts({ nowMs }: Visit, net: string, known: Explanation): Html {
  const parsed = parseNet(net);
  const around = parsed === undefined ? undefined : widen(parsed, parsed.family === 4 ? 24 : 56);
  const { days, failures, hosts } = known.seen;
  const steps = known.nextLevel.split("; ");
  return html`<section class="card"><h2>Ladder</h2>
  <dl class="facts">
    <div><dt>Latest ban</dt><dd>${ladderPosition(known, nowMs)}</dd></div>
    <div><dt>The next one</dt><dd><ul class="steps">${steps.map((step) => html`<li>${step}</li>`)}</ul></dd></div>
    <div><dt>On record</dt><dd>${count(failures)} failures on ${hosts} hosts in ${days} days, ${known.history.length} ended ${known.history.length === 1 ? "ban" : "bans"}</dd></div>
    ${around === undefined || formatNet(around) === net ? nothing : html`<div><dt>Network</dt><dd>${netLink(formatNet(around))}</dd></div>`}
  </dl></section>`;
}

function protection({ nowMs }: Visit, known: Explanation): Html {
  const rows = known.rules.map((rule) => ({
    id: `rule-${rule.id}`,
    cells: [rule.kind, netLink(rule.net), rule.tenant ?? "fleet", rule.reason, left(rule.untilMs, nowMs)],
  }));
  const columns = [
    { name: "List" },
    { name: "Network" },
    { name: "For" },
    { name: "Why", kind: "wide" },
    { name: "Left" },
  ] as const;
  return html`<section class="card"><h2>Lists that cover it</h2>${table(columns, rows, {
    caption: "Entries of the allow and never lists",
    empty: "None: nothing protects it from a ban.",
  })}</section>`;
}
