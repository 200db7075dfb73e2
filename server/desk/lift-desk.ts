import { liftMatching } from "../ingest/lift-matching.ts";
import { type BanCount, type BanFilter, countMatching, listBans } from "../store/ban-lists.ts";
import { type OrderPlace, receiptOf } from "../store/hosts.ts";
import { reasonOf } from "./ban-desk.ts";
import type { Desk, Principal } from "./desk.ts";
import { actOf, type DeskParts, requireFleet } from "./desk-parts.ts";
import type { LiftFilter, LiftView } from "./desk-views.ts";
import { readScope } from "./scopes.ts";
import { showBan } from "./show-ban.ts";

/** Enough to see that the filter says what was meant. */
const sampleRows = 20;
/** Scopes whose hosts are asked after, those with most bans: a fleet has as many scopes as hosts. */
const scopesMax = 20;
/** No host has come so far. */
const never = Number.MAX_SAFE_INTEGER;

/** Lifting many at once, by what they have in common. A tenant lifts one at a time: that is counted. */
export function liftDesk(parts: DeskParts): Pick<Desk, "liftBans"> {
  const { store, writer, directory } = parts;

  const arrival = async (scope: BanCount["scope"], revision: number) => {
    const known = scope as OrderPlace["scope"];
    const { applied, total } = await receiptOf(store, [{ scope: known, revision }], parts.orderEpoch, null);
    return { scope: directory.showScope(known), applied, total };
  };

  type Part = Readonly<{ scope: string; bans: number; lastBan: number; revision: number }>;
  const arrivals = async (parts: readonly Part[]): Promise<LiftView["scopes"]> => {
    const largest = parts.toSorted((one, other) => other.bans - one.bans).slice(0, scopesMax);
    return await Promise.all(
      largest.map(async ({ scope, bans, lastBan, revision }) => ({
        ...(await arrival(scope, revision)),
        bans,
        lastBan,
      })),
    );
  };

  async function preview(asker: Principal, filter: BanFilter, counts: readonly BanCount[]): Promise<LiftView> {
    const sample = await listBans(store, { ...filter, active: true }, sampleRows);
    const all = [...Map.groupBy(counts, ({ scope }) => scope)].map(([scope, of]) => ({
      ...{ scope, bans: sum(of), revision: never },
      lastBan: Math.max(...of.map(({ newest }) => newest)),
    }));
    const scopes = await arrivals(all);
    return { ...numbers(counts), lifted: 0, scopes, sample: sample.map((ban) => showBan(directory, asker, ban)) };
  }

  return {
    async liftBans(asker, { filter: asked, reason, upTo, limit }, options) {
      requireFleet(asker, "lifting by a filter");
      const filter = { ...filterOf(parts, asker, asked), upTo };
      const before = await countMatching(store, filter);
      if (options?.dryRun === true) return await preview(asker, filter, before);
      const until = { ...filter, upTo: numbers(before).upTo };
      const request = { reason: reasonOf(reason), limit, about: aboutOf(asked) };
      const lifted = await liftMatching(writer, actOf(asker, reason), until, request);
      const scopes = await arrivals(lifted.map(({ lifted: bans, ...each }) => ({ ...each, bans })));
      const { byLevel, remaining } = numbers(await countMatching(store, until));
      const count = lifted.reduce((total, each) => total + each.lifted, 0);
      return { lifted: count, remaining, byLevel, upTo: until.upTo, scopes, sample: [] };
    },
  };
}

function filterOf(
  { directory }: DeskParts,
  asker: Principal,
  { scope, jail, reason, net, level }: LiftFilter,
): BanFilter {
  return {
    ...{ net, level },
    scope: scope === undefined ? undefined : readScope(asker, directory, scope),
    reason: jail === undefined ? reason : `jail ${jail}`,
  };
}

/** `jail=sshd level=0`, as an auditor reads it. */
function aboutOf(filter: LiftFilter): string {
  const named = Object.entries(filter).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  return named.length === 0 ? "all bans" : named.join(" ");
}

const sum = (counts: readonly BanCount[]) => counts.reduce((total, { count }) => total + count, 0);

function numbers(counts: readonly BanCount[]): Pick<LiftView, "remaining" | "byLevel" | "upTo"> {
  const byLevel = Map.groupBy(counts, ({ level, isListed }) => String(level ?? (isListed ? "feed" : "manual")));
  return {
    remaining: sum(counts),
    byLevel: Object.fromEntries([...byLevel].map(([level, of]) => [level, sum(of)])),
    upTo: Math.max(0, ...counts.map(({ newest }) => newest)),
  };
}
