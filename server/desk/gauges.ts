import type { Events } from "../events.ts";
import { countWaiting } from "../store/approvals.ts";
import { feedFigures } from "../store/feed-entries.ts";
import { listFeeds } from "../store/feeds.ts";
import { countHeld } from "../store/incidents.ts";
import type { DeskParts } from "./desk-parts.ts";
import { seenWithinMs } from "./host-desk.ts";

/** What Prometheus reads of the fleet's state, asked of the database when it is read. */
export function offerGauges(events: Pick<Events, "gauge" | "gauges">, { store, now, degraded }: DeskParts): void {
  events.gauge(
    "f2b_degraded",
    "Sentences of /api/v1/status about what is not as it should be.",
    async () => degraded().length,
  );
  events.gauge("f2b_agent_lag_seq", "Fleet orders the slowest connected host has not applied.", async () => {
    const [row] = await store.rows<{ lag: number | null }>(
      `select max(scopes.revision - coalesce(hosts.fleet_revision, 0)) as lag from hosts, scopes
       where scopes.scope = 'fleet' and hosts.state <> 'revoked' and hosts.last_seen_ms >= $1`,
      [now() - seenWithinMs],
    );
    return Math.max(0, row?.lag ?? 0);
  });
  events.gauges("f2b_set_size", "Standing bans by kind of scope.", "scope", async () => {
    const rows = await store.rows<{ scope: string; count: number }>(
      "select split_part(scope, ':', 1) as scope, count(*) as count from bans where ended_ms is null group by 1",
    );
    const none = { fleet: 0, tenant: 0, host: 0 };
    return { ...none, ...Object.fromEntries(rows.map((row) => [row.scope, row.count])) };
  });
  events.gauge("f2b_brake_state", "1 while the brake holds bans for an admin, else 0.", async () =>
    (await countHeld(store)) > 0 ? 1 : 0,
  );
  events.gauge("f2b_approvals_waiting", "Requests that wait for a second admin.", () => countWaiting(store, now()));
  events.gauge("f2b_held_bans", "Bans the brake holds for an admin.", () => countHeld(store));
  events.gauges("f2b_hosts", "Hosts by state; `away`: enrolled and not heard of.", "state", async () => {
    const rows = await store.rows<{ state: string; count: number }>(
      `select case when state = 'active' and coalesce(last_seen_ms, 0) < $1 then 'away' else state end as state,
         count(*) as count from hosts group by 1`,
      [now() - seenWithinMs],
    );
    const none = { active: 0, away: 0, quarantined: 0, revoked: 0 };
    return { ...none, ...Object.fromEntries(rows.map((row) => [row.state, row.count])) };
  });
  events.gauges("f2b_feed_age_seconds", "Since a feed last gave a good list.", "feed", async () => {
    const good = (await listFeeds(store)).filter(({ mode, removedMs }) => mode !== "off" && removedMs === null);
    return Object.fromEntries(good.map((feed) => [feed.name, (now() - (feed.goodMs ?? feed.createdMs)) / 1000]));
  });
  events.gauges("f2b_feed_entries", "Networks a feed lists that may be banned.", "feed", async () =>
    Object.fromEntries((await feedFigures(store)).map(({ feed, entries }) => [feed, entries])),
  );
  events.gauges("f2b_feed_banned", "Standing bans of a feed.", "feed", async () =>
    Object.fromEntries((await feedFigures(store)).map(({ feed, banned }) => [feed, banned])),
  );
  events.gauge("f2b_hosts_observing", "Hosts that are told to keep bans without enforcing them.", async () => {
    const [row] = await store.rows<{ count: number }>(
      "select count(*) as count from hosts where state <> 'revoked' and observe",
    );
    return row?.count ?? 0;
  });
  events.gauge("f2b_hosts_not_enforcing", "Connected hosts whose firewall stops nothing.", async () => {
    const [row] = await store.rows<{ count: number }>(
      `select count(*) as count from hosts where state <> 'revoked' and enforcing = false and not observe
         and last_seen_ms >= $1`,
      [now() - seenWithinMs],
    );
    return row?.count ?? 0;
  });
}
