import type { AgentConfig } from "./config.ts";
import type { Enforcer } from "./firewall/enforcer.ts";
import type { OwnedBan } from "./firewall/wanted-set.ts";
import { loadCredentials } from "./fleet/credentials.ts";
import { changeOf } from "./fleet/order-bans.ts";
import { isTooLong } from "./fleet/refused-orders.ts";
import { openHostFirewall } from "./host-firewall.ts";
import type { Logger } from "./logger.ts";
import { openStore, type Store } from "./store/open-store.ts";
import { jailBanId } from "./watch/jail-effects.ts";

/** What came of it: how many elements are in which firewall, or why nothing was to be done. */
export type Restored = Readonly<{ firewall: string; elements: number; refused: number } | { skipped: string }>;

/**
 * Puts the bans of the last run back into the firewall and ends: before the network comes up, in a fraction of what an
 * agent needs to start. Bans of jails are those that stood, as they stood; the agent reconsiders them when it runs.
 *
 * @throws Fleet2banError `unavailable` when an agent runs, or the firewall does not work
 */
export async function restore(config: AgentConfig, now: () => number, log: Logger): Promise<Restored> {
  if (config.firewall === "ufw" || config.firewall === "firewalld") {
    return { skipped: `${config.firewall} is not up before the network; its bans come with the agent` };
  }
  using store = openStore(config.stateDir, log);
  const credentials = loadCredentials(config.credentials);
  const busUrls = credentials === undefined ? [] : (credentials.urls ?? [credentials.url]);
  await using firewall = await openHostFirewall(config, { now, log, busUrls });
  const { enforcer, reasons } = firewall;
  if (!enforcer.enforcing) return { skipped: reasons.join("; ") };
  await collect(enforcer, store, now());
  await enforcer.open();
  return { firewall: enforcer.name, elements: enforcer.size, refused: enforcer.state.refused };
}

/** Allows before bans, so that nobody allowed is cut off in between. */
async function collect(enforcer: Enforcer, store: Store, nowMs: number): Promise<void> {
  const changes = [...store.orders.load(nowMs)].map(([scope, { standing }]) =>
    changeOf(
      scope,
      standing.filter((order) => order.kind !== "ban" || !isTooLong(order, nowMs)),
    ),
  );
  for (const { allows } of changes) await enforcer.allow(allows);
  for (const { bans } of changes) await enforcer.ban(bans);
  const own = store.bans.standing(nowMs).flatMap(({ jail, id, net, ports, untilMs }): OwnedBan[] => {
    // No ports at all: a jail whose bans stop no packets.
    if (net === null || net === "" || ports?.length === 0) return [];
    return [{ id: jailBanId(jail, id), tier: "host", net, ports, untilMs }];
  });
  await enforcer.ban(own);
}
