import { erasableNet, eraseNet } from "../ingest/erase.ts";
import { countAbout, exportAbout } from "../store/privacy.ts";
import type { Desk } from "./desk.ts";
import { actOf, type DeskParts, requireFleet } from "./desk-parts.ts";

/** What whoever has an address may ask for: a copy of what is kept about it, or that it is forgotten. */
export function recordDesk({ store, writer }: DeskParts): Pick<Desk, "records" | "eraseRecords"> {
  return {
    async records(asker, net) {
      requireFleet(asker, "what is kept about an address");
      return exportAbout(store, net);
    },
    async eraseRecords(asker, text, options) {
      requireFleet(asker, "what is kept about an address");
      const net = erasableNet(text);
      if (options?.dryRun === true) return { net, ...(await countAbout(store, net)) };
      return { net, ...(await eraseNet(writer, actOf(asker, options?.reason ?? null), net)) };
    },
  };
}
