import { Fleet2banError } from "../../shared/errors.ts";
import { finishOnce, startOnce } from "../store/idempotency.ts";
import { approvalDesk } from "./approval-desk.ts";
import { banDesk } from "./ban-desk.ts";
import type { Desk } from "./desk.ts";
import type { DeskParts } from "./desk-parts.ts";
import { explainDesk } from "./explain-desk.ts";
import { feedDesk } from "./feed-desk.ts";
import { offerGauges } from "./gauges.ts";
import { guardDesk } from "./guard.ts";
import { hostDesk } from "./host-desk.ts";
import { liftDesk } from "./lift-desk.ts";
import { logDesk } from "./log-desk.ts";
import { policyDesk } from "./policy-desk.ts";
import { recordDesk } from "./record-desk.ts";
import { ruleDesk } from "./rule-desk.ts";
import { statsDesk } from "./stats-desk.ts";
import { tokenDesk } from "./token-desk.ts";

/** The desk over store, judgement and bus. */
export function openDesk(parts: DeskParts): Desk {
  if (parts.events !== undefined) offerGauges(parts.events, parts);
  return guardDesk({
    ...statsDesk(parts),
    ...hostDesk(parts),
    ...banDesk(parts),
    ...liftDesk(parts),
    ...logDesk(parts),
    ...approvalDesk(parts),
    ...ruleDesk(parts),
    ...feedDesk(parts),
    ...explainDesk(parts),
    ...recordDesk(parts),
    ...policyDesk(parts),
    ...tokenDesk(parts),
    startOnce: (asker, key, request) => startOnce(parts.store, asker.tokenId, key, request, parts.now()),
    finishOnce: (asker, key, answer) => finishOnce(parts.store, asker.tokenId, key, answer),
    async health() {
      const database = await parts.store.ping().then(() => "ok", sentenceOf);
      return { database, bus: await parts.busHealth().catch(sentenceOf) };
    },
  });
}

function sentenceOf(error: unknown): string {
  return error instanceof Fleet2banError ? error.message : "does not answer; see the coordinator's log";
}
