import { formatNet, parseNet, widen } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { listBans } from "../store/ban-lists.ts";
import { holdCounting } from "../store/failure-counts.ts";
import { hostsBanning } from "../store/local-bans.ts";
import { type Erased, eraseAbout } from "../store/privacy.ts";
import { type Act, writeAudit } from "./act.ts";
import type { JudgeWriter } from "./judge-writer.ts";

/** By family: wider is nobody's own, and narrower than an IPv6 /64 nothing is counted or banned. */
const prefixes = { 4: { widest: 24, narrowest: 32 }, 6: { widest: 48, narrowest: 64 } } as const;
/** Standing bans inside one net; more would be a network nobody asks to have erased. */
const bansMax = 10_000;

/**
 * Erases what is kept about a net (see `eraseAbout`): its bans are lifted everywhere, also the hosts' own, its records
 * go, and the judgement is built anew without them. The audit log says that it was done and how much went, not to whom.
 */
export async function eraseNet(writer: JudgeWriter, act: Act, text: string): Promise<Erased> {
  const net = erasableNet(text);
  const { result } = await writer.turn(act, async (turn) => {
    // Before the judge hears of anything: a refusal then costs nothing.
    await holdCounting(turn.sql);
    const standing = await listBans(turn.sql, { active: true, net }, bansMax);
    for (const ban of standing) {
      turn.apply({ kind: "unban", net: ban.net, scope: ban.scope, reason: "admin", id: ban.id });
    }
    for (const host of await hostsBanning(turn.sql, net, turn.nowMs, null)) {
      turn.order(`host:${host}`, { kind: "unban", id: 0, net, reason: "admin" });
    }
    const erased = await eraseAbout(turn.sql, net);
    await writeAudit(turn, act, "erase", "an address", { tenant: null, after: erased });
    turn.renew();
    return erased;
  });
  return result;
}

/** @throws Fleet2banError `invalid` with what to ask for instead */
export function erasableNet(text: string): string {
  const net = parseNet(text);
  if (net === undefined) throw new Fleet2banError("invalid", `net: "${text}" is not an address or network`);
  const { widest, narrowest } = prefixes[net.family];
  if (net.prefix < widest) {
    throw new Fleet2banError("invalid", `net: ${text} is wider than /${widest}; erase its parts one by one`);
  }
  if (net.prefix > narrowest) {
    const counted = formatNet(widen(net, narrowest));
    throw new Fleet2banError("invalid", `net: IPv6 is counted by /${narrowest}; ask for ${counted}`);
  }
  return formatNet(net);
}
