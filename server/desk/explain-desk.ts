import { addressBits, formatAddress, formatNet, type Net, parseNet } from "../../shared/address.ts";
import { dayMs, formatDurationMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import type { Explanation as Judgement } from "../domain/judge.ts";
import { noHomes } from "../geo/address-home.ts";
import type { BanView as StoredBan } from "../store/bans.ts";
import { explainNet, type StoredExplanation } from "../store/explain.ts";
import { countedDays, type Seen, seenSince } from "../store/failure-counts.ts";
import type { FeedMention } from "../store/feed-entries.ts";
import { receiptOf } from "../store/hosts.ts";
import { countedOf } from "../store/memory.ts";
import type { Explanation } from "./address-views.ts";
import type { Desk, Principal } from "./desk.ts";
import type { DeskParts } from "./desk-parts.ts";
import { showBan } from "./show-ban.ts";

/** Lists named in one sentence each; the answer has all of them. */
const feedsSaidMax = 3;

/** The answer to "why": everything about one address, as far as the asker may see it, in one call. */
export function explainDesk(parts: DeskParts): Pick<Desk, "explain"> {
  const { store, writer, directory, homes = noHomes } = parts;
  const show = async (asker: Principal, ban: StoredBan): Promise<Explanation["bans"][number]> => {
    const place = { scope: ban.scope, revision: ban.startRevision };
    const { enforced: applied, total } = await receiptOf(store, [place], parts.orderEpoch, asker.tenant);
    return { ...showBan(directory, asker, ban), inForceOn: { applied, total }, mayBeLiftedBy: lifterOf(ban) };
  };
  return {
    async explain(asker, text) {
      const parsed = parseNet(text);
      if (parsed === undefined) throw new Fleet2banError("invalid", `ip: "${text}" is not an address or network`);
      const net = formatNet(parsed);
      const nowMs = parts.now();
      const stored = await explainNet(store, net, asker.tenant, nowMs);
      const seen = await seenSince(store, parsed, asker.tenant, nowMs - countedDays * dayMs);
      const judgement = visibleTo(asker, await judgementOf(writer, parsed, nowMs));
      const bans = await Promise.all(stored.bans.map((ban) => show(asker, ban)));
      return {
        address: net,
        banned: bans.length > 0 || stored.localBans.length > 0,
        summary: `${summaryOf({ net, stored, judgement, bans }, nowMs)}${feedText(asker, stored.feeds)}${seenText(seen)}`,
        bans,
        localBans: stored.localBans,
        rules: stored.rules.map((rule) => showRule(asker, rule, net)),
        feeds: stored.feeds.filter((mention) => asker.tenant === null || isFelt(mention)),
        history: stored.history.map((ban) => showBan(directory, asker, ban)),
        evidence: stored.evidence,
        seen: { days: countedDays, ...seen },
        nextLevel: nextOf(judgement),
        home: { ...homes.homeOf(net), sources: homes.sources() },
      };
    },
  };
}

/** The judge counts addresses; of a network only the tables know. */
async function judgementOf(writer: DeskParts["writer"], net: Net, nowMs: number): Promise<Judgement | null> {
  if (net.prefix < addressBits[net.family]) return null;
  const address = formatAddress(net);
  const ownsIt = await writer.ask((judge) => judge.owns(address));
  // What counts against it another coordinator has in memory, and the database has it too.
  const counted = ownsIt ? undefined : await writer.read((sql) => countedOf(sql, net, nowMs));
  return await writer.ask((judge, judgedMs) => judge.explain(address, judgedMs, counted));
}

/** Other tenants' windows, allows and ladders are nobody else's business. */
function visibleTo({ tenant }: Principal, judgement: Judgement | null): Judgement | null {
  if (tenant === null || judgement === null) return judgement;
  return {
    ...judgement,
    windows: judgement.windows.filter((window) => window.tenant === tenant),
    protectedBy: judgement.protectedBy.filter((guard) => guard.tenant === null || guard.tenant === tenant),
    next: judgement.next.filter((next) => next.scope === `tenant:${tenant}`),
  };
}

/** The fleet's entries may name others' networks: a tenant learns that one covers the address. */
function showRule({ tenant }: Principal, rule: StoredExplanation["rules"][number], net: string) {
  const { id, kind, createdMs, untilMs } = rule;
  if (tenant === null || rule.tenant !== null) {
    return { id, kind, net: rule.net, tenant: rule.tenant, reason: rule.reason, by: rule.by, createdMs, untilMs };
  }
  return { id, kind, net, tenant: null, reason: "an entry of the fleet", by: "the fleet", createdMs, untilMs };
}

function lifterOf(ban: StoredBan): string {
  if (ban.scope === "fleet") return "support of the fleet; a tenant gets an exception of 24 h for its own hosts";
  return "support of the tenant or of the fleet";
}

type Findings = Readonly<{
  net: string;
  stored: StoredExplanation;
  judgement: Judgement | null;
  bans: Explanation["bans"];
}>;

function summaryOf({ net, stored, judgement, bans }: Findings, nowMs: number): string {
  const short = net.replace(/^([\d.]+)\/32$|^([0-9a-f:]+)\/128$/, "$1$2");
  const [ban] = bans;
  if (ban !== undefined) {
    const left = ban.untilMs === null ? "until it is lifted" : `for another ${formatDurationMs(ban.untilMs - nowMs)}`;
    const where = ban.ports === null ? "on every port" : `on port ${ban.ports.join(", ")}`;
    const { failures, hosts } = ban.evidence;
    const why = failures > 0 ? `${ban.reason}, ${failures} failures on ${hosts} hosts` : `${ban.reason}, by ${ban.by}`;
    return `${short} is banned (${ban.scope}, ${where}) ${left}: ${why}.`;
  }
  const [local] = stored.localBans;
  if (local !== undefined) {
    const hosts = new Set(stored.localBans.map((each) => each.host)).size;
    return `${short} is banned by ${hosts} hosts themselves, first ${local.tenant}/${local.host} (${local.jail}).`;
  }
  const [guard] = judgement?.protectedBy ?? [];
  if (guard !== undefined) return `${short} is not banned and cannot be: the ${guard.list} list covers it.`;
  const [window] = judgement?.windows ?? [];
  if (window !== undefined)
    return `${short} is not banned; it has ${window.reached} of ${window.needed} failures (${window.jail ?? "hosts"}).`;
  return `${short} is not banned, and nothing counts against it.`;
}

/** What a tenant feels of the fleet's lists is all it learns of them. */
const isFelt = ({ mode, exceptedMs }: FeedMention): boolean => mode === "enforce" && exceptedMs === null;

/** One sentence per list that names it, so that nobody has to guess why it is banned, or is not. */
function feedText({ tenant }: Principal, feeds: readonly FeedMention[]): string {
  const said = tenant === null ? feeds : feeds.filter(isFelt);
  const sentences = said.slice(0, feedsSaidMax).map(({ feed, mode, sinceMs, goodMs, exceptedMs, exceptedBy }) => {
    const listed = ` Feed ${feed} has listed it since ${minuteOf(sinceMs)}`;
    if (exceptedMs !== null) {
      return `${listed}; ${exceptedBy} lifted that at ${minuteOf(exceptedMs)}, and it stays lifted.`;
    }
    const fetched = goodMs === null ? "" : ` (fetched at ${minuteOf(goodMs)})`;
    return `${listed}${fetched}${mode === "enforce" ? "" : `, and bans nobody: it is ${feedModes[mode]}`}.`;
  });
  return sentences.join("");
}

const feedModes: Readonly<Record<string, string>> = { observe: "only observed", off: "off" };

function minuteOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16)}Z`;
}

function seenText({ failures, hosts }: Seen): string {
  if (failures === 0) return "";
  const [lines, where] = [
    failures === 1 ? "1 failure" : `${failures} failures`,
    hosts === 1 ? "1 host" : `${hosts} hosts`,
  ];
  return ` Seen in the last ${countedDays} days: ${lines} on ${where}.`;
}

function nextOf(judgement: Judgement | null): string {
  const next = judgement?.next ?? [];
  if (next.length === 0) return "the next automatic ban would be level 0";
  return next.map((each) => `${each.scope}: level ${each.level} for ${formatDurationMs(each.banTimeMs)}`).join("; ");
}
