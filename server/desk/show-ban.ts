import type { HostDirectory } from "../hosts/host-directory.ts";
import type { BanView as StoredBan } from "../store/bans.ts";
import type { BanView, Principal } from "./desk.ts";

/** What the asker may see of a ban: of a fleet ban, a tenant sees that it stands and what its own hosts had to do with it. */
export function showBan(directory: HostDirectory, asker: Principal, ban: StoredBan): BanView {
  const { id, net, level, ports, reason, startedMs, untilMs, endedMs, endReason } = ban;
  const isTheirs = asker.tenant !== null && ban.scope === "fleet";
  return {
    ...{ id, net, level, ports, reason, startedMs, untilMs, endedMs, endReason },
    scope: directory.showScope(ban.scope),
    by: isTheirs ? "the fleet" : ban.by,
    note: isTheirs ? null : ban.note,
    evidence: showEvidence(asker, ban),
  };
}

export function showEvidence(
  asker: Principal,
  { scope, evidence }: Pick<StoredBan, "scope" | "evidence">,
): BanView["evidence"] {
  const { hosts, tenants, failures, sources = [] } = evidence;
  if (asker.tenant === null || scope !== "fleet") return { hosts, tenants, failures };
  const own = sources.filter((source) => source.startsWith(`${asker.tenant}/`)).length;
  if (own > 0 && own === hosts) return { hosts, tenants, failures };
  // How many of the failures were its own is not kept with the ban; `explain` tells.
  return { hosts: own, tenants: Math.min(own, 1), failures: 0 };
}
