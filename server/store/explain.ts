import type { BanView } from "./bans.ts";
import { banColumns } from "./bans.ts";
import { coveringNets } from "./covering-nets.ts";
import { type EvidenceRow, evidenceAbout } from "./failures.ts";
import { type FeedMention, feedsAbout } from "./feed-entries.ts";
import { type LocalBanRow, localBansAbout } from "./local-bans.ts";
import { type RuleView, ruleColumns } from "./rules.ts";
import type { Sql } from "./sql.ts";

/** Everything stored about one address or network. */
export type StoredExplanation = Readonly<{
  /** Standing bans that cover it, the widest reach first. */
  bans: readonly BanView[];
  /** Ended ones that covered it, the newest first. */
  history: readonly BanView[];
  localBans: readonly LocalBanRow[];
  rules: readonly RuleView[];
  /** Others' lists that name it, what lies in it or what covers it. */
  feeds: readonly FeedMention[];
  evidence: readonly EvidenceRow[];
}>;

/** Rows of one kind shown to a person; the newest are kept. */
const rowsMax = 200;

/**
 * @param net     canonical, with its length
 * @param tenant  null = everything; otherwise only what concerns that tenant
 */
export async function explainNet(
  sql: Sql,
  net: string,
  tenant: string | null,
  nowMs: number,
): Promise<StoredExplanation> {
  const covering = coveringNets(net);
  const concerns = `($2::text is null or scope = 'fleet' or scope = 'tenant:' || $2
    or scope in (select 'host:' || host from hosts where tenant = $2))`;
  const bans = await sql.rows<BanView>(
    `select ${banColumns} from bans where net = any($1::cidr[]) and ${concerns} order by id desc limit $3`,
    [covering, tenant, rowsMax],
  );
  const rules = await sql.rows<RuleView>(
    `select ${ruleColumns} from rules where removed_ms is null and (net = any($1::cidr[]) or net <<= $4::inet)
       and ($2::text is null or tenant is null or tenant = $2) order by id desc limit $3`,
    [covering, tenant, rowsMax, net],
  );
  return {
    bans: bans.filter((ban) => ban.endedMs === null),
    history: bans.filter((ban) => ban.endedMs !== null),
    localBans: await localBansAbout(sql, net, nowMs, tenant, rowsMax),
    rules,
    feeds: await feedsAbout(sql, covering, net, rowsMax),
    evidence: await evidenceAbout(sql, net, tenant),
  };
}
