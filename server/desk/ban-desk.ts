import { Fleet2banError } from "../../shared/errors.ts";
import type { Scope, UnbanReason } from "../../shared/order.ts";
import { banByHand, hasEnded, nothingStands, unbanById, unbanNet } from "../ingest/admin-acts.ts";
import { type SelfServiceRequest, unbanAsTenant } from "../ingest/self-service.ts";
import { type BanFilter, type BanPlace, type BanSort, listBans, standingTag } from "../store/ban-lists.ts";
import { banById, type BanView as StoredBan } from "../store/bans.ts";
import { hostsBanning } from "../store/local-bans.ts";
import { waitForSecond } from "./approval-desk.ts";
import type { BanQuery, BanRequest, BanView, Desk, Principal, UnbanReceipt } from "./desk.ts";
import { actOf, badCursor, type DeskParts, etagOf, pageOf } from "./desk-parts.ts";
import type { ExportQuery } from "./desk-views.ts";
import { receiptWriter } from "./receipts.ts";
import { mayChange, readScope } from "./scopes.ts";
import { showBan } from "./show-ban.ts";

/** Rows read at a time while bans are exported: little enough to wait for, many enough to be quick. */
const exportPageRows = 5000;
/** Bans of one net shown in a dry run. */
const dryBansMax = 1000;

type BanVerbs = "bans" | "oneBan" | "ban" | "unban" | "unbanNet" | "receipt" | "exportBans";

/** Bans as people see, make and lift them. */
export function banDesk(parts: DeskParts): Pick<Desk, BanVerbs> {
  const { store, writer, directory } = parts;
  const show = (asker: Principal) => (ban: StoredBan) => showBan(directory, asker, ban);
  const receipts = receiptWriter(parts);

  async function visibleBan(asker: Principal, id: number): Promise<StoredBan> {
    const ban = await banById(store, id);
    if (ban === undefined || (ban.scope !== "fleet" && !mayChange(asker, directory, ban.scope))) {
      throw new Fleet2banError("not_found", `there is no ban ${id}`);
    }
    return ban;
  }

  async function asTenant(
    asker: Principal,
    request: SelfServiceRequest,
    note: string,
    waitMs: number | undefined,
  ): Promise<UnbanReceipt> {
    return await receipts.ofLift(asker, await unbanAsTenant(writer, actOf(asker, note), request), waitMs);
  }

  return {
    async bans(asker, query) {
      const filter = filterOf(asker, query, parts);
      const rows = await listBans(store, filter, query.limit + 1);
      return pageOf(rows, query.limit, (row) => writePlace(filter.sort ?? "newest", row), show(asker));
    },
    oneBan: async (asker, id) => show(asker)(await visibleBan(asker, id)),
    async ban(asker, { dryRun, reason, scope: scopeText, ...request }) {
      const scope = readScope(asker, directory, scopeText);
      const { net, banTimeMs: spanMs, ports } = request;
      const [forbidden, tooWide] = await writer.ask((judge) => [
        judge.whyRefused(net, scope, true),
        judge.whyTooWide(net),
      ]);
      if (forbidden !== undefined) throw new Fleet2banError("conflict", forbidden);
      if (tooWide !== undefined) {
        const asked = { kind: "ban", net, scope, spanMs, ports, why: tooWide, reason } as const;
        return await waitForSecond(parts, asker, asked, { dryRun });
      }
      if (dryRun) return { kind: "made", made: dryBan(parts, asker, { ...request, scope, reason }) };
      const made = await banByHand(writer, actOf(asker, reason), { ...request, scope });
      return { kind: "made", made: show(asker)(made) };
    },
    async unban(asker, id, reason, options) {
      const ban = await visibleBan(asker, id);
      const { tenant } = asker;
      if (options?.dryRun === true) {
        if (!canLift(ban, reasonOf(reason), tenant)) throw hasEnded(ban);
        return await receipts.dry(asker, ban.net, mayChange(asker, directory, ban.scope) ? [ban] : [], []);
      }
      if (tenant !== null) {
        const request = { tenant, net: ban.net, reason: reasonOf(reason), id };
        return await asTenant(asker, request, reason, options?.waitMs);
      }
      const lifted = await unbanById(writer, actOf(asker, reason), id, reasonOf(reason));
      return await receipts.ofLift(asker, lifted, options?.waitMs);
    },
    async unbanNet(asker, net, reason, options) {
      const { tenant } = asker;
      if (options?.dryRun === true) {
        const filter = { net, tenant: tenant ?? undefined };
        const known = await listBans(store, filter, dryBansMax);
        const bans = known.filter((ban) => ban.net === net && mayChange(asker, directory, ban.scope));
        const standing = bans.filter((ban) => ban.endedMs === null);
        // As the act itself: only when nothing stands it is about what has ended.
        const meant = standing.length > 0 ? standing : bans.filter((ban) => canLift(ban, reasonOf(reason), tenant));
        const hosts = await hostsBanning(store, net, parts.now(), tenant);
        // A tenant would get an exception from a fleet ban around it, which is not lifted.
        if (tenant === null && meant.length + hosts.length === 0) throw nothingStands(net);
        return await receipts.dry(asker, net, meant, hosts);
      }
      const request = { net, reason: reasonOf(reason) };
      if (tenant !== null) return await asTenant(asker, { ...request, tenant }, reason, options?.waitMs);
      const lifted = await unbanNet(writer, actOf(asker, reason), { ...request, tenant });
      return await receipts.ofLift(asker, lifted, options?.waitMs);
    },
    receipt: async (asker, id) => await receipts.ofBan(asker, await visibleBan(asker, id)),
    exportBans: async (asker, query) => await exportOf(parts, asker, query),
  };
}

async function exportOf(parts: DeskParts, asker: Principal, query: ExportQuery) {
  const { store, directory, orderEpoch } = parts;
  const standing = filterOf(asker, { ...query, limit: 1, active: true }, parts);
  const filter = { ...standing, minLevel: query.minLevel, withoutFeeds: true };
  const tag = await standingTag(store, asker.tenant);
  return {
    etag: etagOf([orderEpoch, tag, query, asker.tenant]),
    async *pages() {
      let after: BanPlace | undefined;
      for (;;) {
        const rows = await listBans(store, { ...filter, sort: "oldest", after }, exportPageRows);
        if (rows.length > 0) yield rows.map((row) => showBan(directory, asker, row));
        after = rows.at(-1);
        if (rows.length < exportPageRows) return;
      }
    },
  };
}

function filterOf(asker: Principal, query: BanQuery, { directory }: DeskParts): BanFilter {
  const { active, net, level, jail, reason, sort = "newest", cursor } = query;
  // A tenant may ask for what is the fleet's, too.
  const reader = query.scope === "fleet" ? { ...asker, tenant: null } : asker;
  return {
    ...{ net, level, sort },
    active: active === true ? true : undefined,
    scope: query.scope === undefined ? undefined : readScope(reader, directory, query.scope),
    reason: jail === undefined ? reason : `jail ${jail}`,
    tenant: asker.tenant ?? undefined,
    after: cursor === undefined ? undefined : readPlace(sort, cursor),
  };
}

function writePlace(sort: BanSort, { id, untilMs }: BanPlace): string {
  return sort === "ending" ? `${untilMs ?? "never"}-${id}` : String(id);
}

function readPlace(sort: BanSort, text: string): BanPlace {
  const [, until, id] = /^(?:(\d{1,15}|never)-)?(\d{1,15})$/.exec(text) ?? [];
  if (id === undefined || (until === undefined) === (sort === "ending")) throw badCursor();
  return { id: Number(id), untilMs: until === undefined || until === "never" ? null : Number(until) };
}

type DryRequest = Omit<BanRequest, "scope" | "dryRun"> & Readonly<{ scope: Scope }>;

function dryBan({ directory, now }: DeskParts, asker: Principal, request: DryRequest): BanView {
  const { net, ports, banTimeMs, reason, scope } = request;
  const startedMs = now();
  return {
    ...{ id: 0, net, level: null, ports, reason: "admin", by: asker.name, note: reason, startedMs },
    scope: directory.showScope(scope),
    untilMs: banTimeMs === null ? null : startedMs + banTimeMs,
    endedMs: null,
    endReason: null,
    evidence: { hosts: 0, tenants: 0, failures: 0 },
  };
}

/** Whether an unban has something to do: end it, or have the ladder forget it. The latter is the fleet's to say. */
function canLift({ endedMs, endReason, level }: StoredBan, reason: UnbanReason, tenant: string | null): boolean {
  if (endedMs === null) return true;
  return tenant === null && reason === "false-positive" && level !== null && endReason !== "false-positive";
}

/** `false-positive` has a meaning of its own: the ladder forgets the ban. Anything else is an admin's note. */
export function reasonOf(text: string): UnbanReason {
  return text === "false-positive" ? "false-positive" : "admin";
}
