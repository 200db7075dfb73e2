import { Fleet2banError } from "../../shared/errors.ts";
import { banDesk } from "./ban-desk.ts";
import type { Desk } from "./desk.ts";
import type { DeskParts } from "./desk-parts.ts";
import { fleetDesk } from "./fleet-desk.ts";
import { ruleDesk } from "./rule-desk.ts";

/** The desk over store, judgement and bus. */
export function openDesk(parts: DeskParts): Desk {
  return {
    ...fleetDesk(parts),
    ...banDesk(parts),
    ...ruleDesk(parts),
    async health() {
      const database = await parts.store.ping().then(() => "ok", sentenceOf);
      return { database, bus: await parts.busHealth().catch(sentenceOf) };
    },
  };
}

function sentenceOf(error: unknown): string {
  return error instanceof Fleet2banError ? error.message : "does not answer; see the coordinator's log";
}
