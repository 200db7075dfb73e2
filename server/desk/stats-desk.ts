import { dayMs, hourMs, secondMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import type { LiveEvent } from "../events.ts";
import { countWaiting } from "../store/approvals.ts";
import { countStanding, liftRate } from "../store/ban-lists.ts";
import { attacksPerDay, countedDays } from "../store/failure-counts.ts";
import { attacksPerMinute } from "../store/failure-lists.ts";
import { countFailures } from "../store/failures.ts";
import { countHosts, sumBlocked } from "../store/hosts.ts";
import { countHeld } from "../store/incidents.ts";
import { revisionOf } from "../store/orders.ts";
import type { Desk, Principal } from "./desk.ts";
import type { DeskParts } from "./desk-parts.ts";
import { seenWithinMs } from "./host-desk.ts";
import { remembered } from "./remembered.ts";
import { tenantOfScope } from "./scopes.ts";

/** Counting a million bans takes a tenth of a second; screens ask every other second, each for itself. */
const countsLifeMs = secondMs;
/** A week of bans and an hour of failures are counted for these. */
const statsLifeMs = 10 * secondMs;
const falsePositiveMs = 7 * dayMs;

/** The fleet in figures. */
export function statsDesk(parts: DeskParts): Pick<Desk, "status" | "stats" | "watch"> {
  const { store, now } = parts;
  const counts = remembered(countsLifeMs, now, async (tenant) => {
    const [bans, failuresLastHour] = await Promise.all([
      countStanding(store, tenant),
      countFailures(store, tenant, now() - hourMs),
    ]);
    return { bans, failuresLastHour };
  });
  const history = remembered(statsLifeMs, now, async (tenant) => {
    // Side by side: the database has more than one core.
    const [attacks, days, rate, blocked] = await Promise.all([
      attacksPerMinute(store, tenant, now() - hourMs),
      attacksPerDay(store, tenant, now() - countedDays * dayMs),
      liftRate(store, tenant, now() - falsePositiveMs),
      sumBlocked(store, tenant),
    ]);
    return { attacks, days, rate, blocked };
  });

  return {
    async status({ tenant }) {
      const nowMs = now();
      const fleetRevision = await revisionOf(store, "fleet");
      const hosts = await countHosts(store, tenant, nowMs - seenWithinMs, fleetRevision);
      const { bans, failuresLastHour } = await counts(tenant);
      return { version: parts.version, hosts, bans, failuresLastHour, degraded: parts.degraded() };
    },
    async stats({ tenant }) {
      const [{ bans }, { attacks, days, rate, blocked }] = await Promise.all([counts(tenant), history(tenant)]);
      // What is held, and how fast the fleet is, are the fleet's.
      const held = tenant === null ? await countHeld(store) : 0;
      const approvals = tenant === null ? await countWaiting(store, now()) : 0;
      return {
        attacksPerMinute: attacks,
        attacksPerDay: days,
        bansByLevel: bans.byLevel,
        falsePositives: { ...rate, rate: rate.bans === 0 ? 0 : rate.lifted / rate.bans },
        latency: tenant === null ? (parts.events?.latency.summary() ?? null) : null,
        blocked,
        held,
        approvals,
        brake: held > 0 ? "holding" : "open",
      };
    },
    watch(asker, listener) {
      if (parts.events === undefined) {
        throw new Fleet2banError("unavailable", "there are no live events here; ask again every few seconds");
      }
      return parts.events.watch((event) => {
        if (concerns(parts, asker, event)) listener(show(parts, asker, event));
      });
    },
  };
}

function concerns({ directory }: DeskParts, { tenant }: Principal, event: LiveEvent): boolean {
  if (tenant === null) return true;
  if (event.kind === "quarantine") return event.tenant === tenant;
  // What was stopped fleet-wide came of others' evidence.
  if (event.kind === "held" || event.kind === "refused") return event.scope === `tenant:${tenant}`;
  return event.scope === "fleet" || tenantOfScope(directory, event.scope as "fleet") === tenant;
}

function show({ directory }: DeskParts, _asker: Principal, event: LiveEvent): LiveEvent {
  return event.kind === "quarantine" ? event : { ...event, scope: directory.showScope(event.scope as "fleet") };
}
