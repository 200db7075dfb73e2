import { Fleet2banError } from "../../shared/errors.ts";
import { banDesk } from "./ban-desk.ts";
import type { Desk } from "./desk.ts";
import type { DeskParts } from "./desk-parts.ts";
import { fleetDesk } from "./fleet-desk.ts";
import { ruleDesk } from "./rule-desk.ts";

/** The desk over store, judgement and bus. */
export function openDesk(parts: DeskParts): Desk {
  return {
    ...notYet(),
    ...fleetDesk(parts),
    ...banDesk(parts),
    ...ruleDesk(parts),
    async health() {
      const database = await parts.store.ping().then(() => "ok", sentenceOf);
      return { database, bus: await parts.busHealth().catch(sentenceOf) };
    },
  };
}

type NotYet =
  | "stats"
  | "watch"
  | "host"
  | "changeHost"
  | "revokeHost"
  | "oneBan"
  | "exportBans"
  | "failures"
  | "incidents"
  | "held"
  | "decideHeld"
  | "policy"
  | "policyVersions"
  | "policyVersion"
  | "setPolicy"
  | "tryPolicy"
  | "revertPolicy"
  | "changeTenant"
  | "enrollmentTokens"
  | "revokeEnrollmentToken"
  | "audit"
  | "verifyAudit";

function notYet(): Pick<Desk, NotYet> {
  const refuse = (): never => {
    throw new Fleet2banError("unavailable", "this is not there yet");
  };
  const refuseLater = async (): Promise<never> => refuse();
  return {
    ...{ stats: refuseLater, watch: refuse, host: refuseLater, changeHost: refuseLater, revokeHost: refuseLater },
    ...{ oneBan: refuseLater, exportBans: refuseLater, failures: refuseLater, incidents: refuseLater },
    ...{ held: refuseLater, decideHeld: refuseLater, policy: refuseLater, policyVersions: refuseLater },
    ...{ policyVersion: refuseLater, setPolicy: refuseLater, tryPolicy: refuseLater, revertPolicy: refuseLater },
    ...{ changeTenant: refuseLater, enrollmentTokens: refuseLater, revokeEnrollmentToken: refuseLater },
    ...{ audit: refuseLater, verifyAudit: refuseLater },
  };
}

function sentenceOf(error: unknown): string {
  return error instanceof Fleet2banError ? error.message : "does not answer; see the coordinator's log";
}
