import { html } from "hono/html";
import { dayMs } from "../../../shared/durations.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import type { BanView, FailureView, FleetStatus, HostView, Principal } from "../../desk/desk.ts";
import type { StatsView } from "../../desk/desk-views.ts";
import { answers, attackAnswer, enforcedAnswer, mistakesAnswer } from "../parts/answers.ts";
import { attacksChart, lastHour, lastMonth } from "../parts/attacks-chart.ts";
import { banCells, banColumns, levelName, netLink } from "../parts/ban-cells.ts";
import { type Figure, figures } from "../parts/figure.ts";
import { type Html, nothing } from "../parts/html.ts";
import { live } from "../parts/live.ts";
import { bars } from "../parts/meter.ts";
import { count, table } from "../parts/table.ts";
import { ago } from "../parts/time.ts";
import { may, type Page, type Pages, type Visit } from "../visit.ts";

/** Latest rows of each kind: a glance; the pages behind have the rest. */
const rowsMax = 8;

export function overviewPages(pages: Pages): void {
  pages.get("/", "look", show);
}

/** The dearest figures: when they cannot be had, the rest of the page is worth seeing all the more. */
function unknown(error: unknown): StatsView {
  if (!(error instanceof Fleet2banError) || error.code !== "unavailable") throw error;
  const falsePositives = { bans: 0, lifted: 0, rate: 0 };
  return {
    attacksPerMinute: [],
    attacksPerDay: [],
    bansByLevel: {},
    falsePositives,
    latency: null,
    blocked: [],
    held: 0,
    approvals: 0,
    brake: "open",
  };
}

async function show(visit: Visit): Promise<Page> {
  const { desk, principal } = visit;
  const [status, stats, bans, troubled, failures] = await Promise.all([
    desk.status(principal),
    desk.stats(principal).catch(unknown),
    desk.bans(principal, { limit: rowsMax, active: true }),
    desk.hosts(principal, { limit: rowsMax, troubled: true }),
    desk.recentFailures(principal, rowsMax),
  ]);
  const parts = html`<h1>Overview</h1>
${status.degraded.map((sentence) => html`<p class="problem" role="alert">${sentence}</p>`)}
${headline(status, stats, visit)}
<div class="columns">
  <section class="card"><h2>Attacks per minute by jail, last hour (UTC)</h2>${attacksChart(stats.attacksPerMinute, visit.nowMs, lastHour)}</section>
  <section class="card"><h2>Standing bans by level</h2>${levels(status.bans.byLevel)}</section>
</div>
<section class="card"><h2>Attacks per day by jail, last 30 days (UTC)</h2>${attacksChart(stats.attacksPerDay, visit.nowMs - dayMs, lastMonth)}</section>
${hostTrouble(troubled.items, status)}
${latestBans(visit, bans.items)}
${latestFailures(visit, failures)}`;
  return { title: "Overview", content: live(visit, parts) };
}

/** Three questions first; then the figures behind them. */
function headline(status: FleetStatus, stats: StatsView, { principal, nowMs }: Visit): Html {
  const { hosts, bans, failuresLastHour } = status;
  return html`${answers([
    mistakesAnswer(stats.falsePositives),
    attackAnswer(stats.attacksPerMinute, failuresLastHour, bans.active, nowMs),
    enforcedAnswer(hosts),
  ])}${figures(figuresOf(status, stats, principal))}`;
}

function figuresOf({ bans, failuresLastHour }: FleetStatus, stats: StatsView, principal: Principal): Figure[] {
  const { latency, held, approvals } = stats;
  const packets = stats.blocked.reduce((sum, each) => sum + each.packets, 0);
  return [
    {
      name: "Standing bans",
      value: count(bans.active),
      note: `${count(failuresLastHour)} failures in the last hour`,
      href: "/bans",
    },
    {
      name: "Log line to enforced",
      value: latency === null ? "–" : seconds(latency.p50Ms),
      note:
        latency === null
          ? "no ban reached a host yet"
          : `p99 ${seconds(latency.p99Ms)}, ${count(latency.samples)} bans`,
    },
    { name: "Packets stopped", value: count(packets), note: "since each host's agent started", href: "/hosts" },
    {
      name: "Waiting for an admin",
      value: count(held + approvals),
      note: waitingNote(held, approvals),
      mood: held + approvals > 0 ? "bad" : "plain",
      ...(may(principal, "held") ? { href: held === 0 && approvals > 0 ? "/approvals" : "/held" } : {}),
    },
  ];
}

function waitingNote(held: number, approvals: number): string {
  if (held + approvals === 0) return "nothing waits for a decision";
  const parts = [
    held > 0 ? `${count(held)} held by the brake` : "",
    approvals > 0 ? `${count(approvals)} to approve` : "",
  ];
  return parts.filter((part) => part !== "").join(", ");
}

function seconds(spanMs: number): string {
  return spanMs < 1000 ? `${Math.round(spanMs)} ms` : `${(spanMs / 1000).toFixed(1)} s`;
}

function levels(byLevel: Readonly<Record<string, number>>): Html {
  const names = Object.keys(byLevel).toSorted();
  if (names.length === 0) return html`<p class="empty">Nobody is banned.</p>`;
  return bars(names.map((name) => ({ name: levelName(name), value: byLevel[name] ?? 0 })));
}

function hostTrouble(hosts: readonly HostView[], { hosts: { total } }: FleetStatus): Html {
  if (total === 0) {
    return html`<section class="card"><h2>Hosts</h2><p class="empty">No hosts yet. <a href="/hosts">Make an enrolment token</a> and run one command on each host; it appears here within a minute.</p></section>`;
  }
  if (hosts.length === 0) return nothing;
  const rows = hosts.map((host) => ({
    id: `host-${host.host}`,
    cells: [`${host.tenant}/${host.host}`, trouble(host)],
  }));
  const columns = [{ name: "Host" }, { name: "Trouble", kind: "wide" }] as const;
  return html`<section class="card"><h2>Hosts in trouble</h2>${table(columns, rows, { caption: "Hosts in trouble", empty: nothing })}</section>`;
}

function trouble(host: HostView): string {
  const sentences = [
    host.state === "quarantined" ? "quarantined: its failures are evidence only" : "",
    host.connected ? "" : "away",
    host.enforcing === false ? "does not enforce" : "",
    host.behind !== null && host.behind > 0 ? `${host.behind} orders behind` : "",
    ...host.problems,
  ];
  return sentences.filter((sentence) => sentence !== "").join("; ");
}

function latestBans({ nowMs }: Visit, bans: readonly BanView[]): Html {
  const rows = bans.map((ban) => ({ id: `ban-${ban.id}`, cells: banCells(ban, nowMs) }));
  const shown = table(banColumns, rows, { caption: "Latest bans", empty: "Nobody is banned." });
  return html`<section class="card"><h2>Latest bans</h2>${shown}</section>`;
}

function latestFailures({ nowMs }: Visit, failures: readonly FailureView[]): Html {
  const rows = failures.map((failure) => ({
    id: `failure-${failure.tenant}-${failure.host}-${failure.jail}-${failure.address}-${failure.atMs}`,
    cells: [
      ago(failure.atMs, nowMs),
      netLink(failure.address),
      failure.jail,
      `${failure.tenant}/${failure.host}`,
      count(failure.count),
    ],
  }));
  const columns = [
    { name: "When" },
    { name: "Address" },
    { name: "Jail" },
    { name: "Host" },
    { name: "Lines", kind: "number" },
  ] as const;
  return html`<section class="card"><h2>Latest failures</h2>${table(columns, rows, {
    caption: "Latest failures",
    empty: "No host has reported a failure yet. Hosts report as soon as a jail's filter matches a line of its log.",
  })}</section>`;
}
