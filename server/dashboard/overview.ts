import { html } from "hono/html";
import { formatDurationMs } from "../../shared/durations.ts";
import type { BanView, Desk, FailureView, FleetStatus, HostView, Principal } from "../desk/desk.ts";
import type { Html } from "./page.ts";

/** Rows that fit a screen; the API and the command line have the rest. */
const rowsMax = 50;

/** The page's living part, asked for again every two seconds. */
export async function overview(desk: Desk, principal: Principal, nowMs: number): Promise<Html> {
  const [status, hosts, bans, failures] = await Promise.all([
    desk.status(principal),
    desk.hosts(principal, { limit: rowsMax }),
    desk.bans(principal, { limit: rowsMax, active: true }),
    desk.recentFailures(principal, rowsMax),
  ]);
  return html`<div id="overview" hx-get="/fragments/overview" hx-trigger="every 2s" hx-swap="outerHTML">
  ${status.degraded.map((sentence) => html`<p class="problem" role="alert">${sentence}</p>`)}
  ${figures(status)}
  <section class="card"><h2>Active bans</h2>${banTable(bans.items, nowMs)}</section>
  <section class="card"><h2>Hosts</h2>${hostTable(hosts.items, nowMs)}</section>
  <section class="card"><h2>Latest failures</h2>${failureTable(failures, nowMs)}</section>
</div>`;
}

function figures(status: FleetStatus): Html {
  const { hosts, bans } = status;
  const rows: readonly (readonly [string, string])[] = [
    ["Hosts connected", `${hosts.connected}/${hosts.total}`],
    ["Lagging", String(hosts.lagging)],
    ["Not enforcing", String(hosts.notEnforcing)],
    ["Active bans", String(bans.active)],
    ["Failures, last hour", String(status.failuresLastHour)],
  ];
  return html`<dl class="figures">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function banTable(bans: readonly BanView[], nowMs: number): Html {
  if (bans.length === 0) return html`<p class="hint">Nobody is banned.</p>`;
  const rows = bans.map(
    (ban) => html`<tr>
  <td><code>${ban.net.replace(/\/(32|128)$/, "")}</code></td><td>${ban.scope}</td><td>${ban.level ?? "by hand"}</td>
  <td>${ban.ports === null ? "all" : ban.ports.join(", ")}</td><td>${ban.untilMs === null ? "for ever" : left(ban.untilMs, nowMs)}</td>
  <td>${ban.reason}</td><td>${ban.evidence.failures} on ${ban.evidence.hosts} hosts</td></tr>`,
  );
  return html`<table><thead><tr><th>Network</th><th>Scope</th><th>Level</th><th>Ports</th><th>Left</th><th>Why</th><th>Evidence</th></tr></thead><tbody>${rows}</tbody></table>`;
}

function hostTable(hosts: readonly HostView[], nowMs: number): Html {
  if (hosts.length === 0) {
    return html`<p class="hint">No hosts yet. Make a token with <code>fleet2ban token enroll</code> and run <code>agent enroll TOKEN</code> there.</p>`;
  }
  const rows = hosts.map((host) => {
    const state = host.state === "active" ? (host.connected ? "connected" : "away") : host.state;
    const enforcing = host.enforcing === null ? "unknown" : host.enforcing ? "yes" : "no";
    return html`<tr class="${host.problems.length > 0 ? "bad" : ""}"><td>${host.tenant}/${host.host}</td><td>${state}</td>
  <td>${host.behind === null ? "unknown" : host.behind}</td><td>${host.firewall ?? "unknown"}</td><td>${enforcing}</td>
  <td>${host.lastSeenMs === null ? "never" : `${ago(host.lastSeenMs, nowMs)} ago`}</td><td>${host.problems.join("; ")}</td></tr>`;
  });
  return html`<table><thead><tr><th>Host</th><th>State</th><th>Orders behind</th><th>Firewall</th><th>Enforcing</th><th>Seen</th><th>Problems</th></tr></thead><tbody>${rows}</tbody></table>`;
}

function failureTable(failures: readonly FailureView[], nowMs: number): Html {
  if (failures.length === 0) return html`<p class="hint">No failures yet.</p>`;
  const rows = failures.map(
    (
      failure,
    ) => html`<tr><td>${ago(failure.atMs, nowMs)} ago</td><td><code>${failure.address}</code></td><td>${failure.jail}</td>
  <td>${failure.tenant}/${failure.host}</td><td>${failure.count}</td></tr>`,
  );
  return html`<table><thead><tr><th>When</th><th>Address</th><th>Jail</th><th>Host</th><th>Lines</th></tr></thead><tbody>${rows}</tbody></table>`;
}

const left = (untilMs: number, nowMs: number) => formatDurationMs(Math.max(0, untilMs - nowMs));
const ago = (atMs: number, nowMs: number) => formatDurationMs(Math.max(0, nowMs - atMs));
