import { type Net, parseAddress, subjectOf } from "../../shared/address.ts";
import { propose } from "./ban.ts";
import { evidenceOf } from "./evidence.ts";
import type { Decision, FailureFact, Weight } from "./judge.ts";
import { lateMsMax } from "./policy.ts";
import { hostNumberOf, jailPolicyOf, owns, type State } from "./state.ts";
import type { Tenant } from "./tenants.ts";
import { tallyVotes } from "./votes.ts";
import type { Incident } from "./windows.ts";

/** Judges one failure: what it counts for, and the bans that follow from it. */
export function judgeFailure(state: State, fact: FailureFact, decisions: Decision[]): Weight {
  const address = fact.read ?? parseAddress(fact.address);
  if (address === undefined) return "invalid";
  if (state.lists.isReserved(address)) return "reserved";
  if (state.lists.nevers.covers(address)) return "never";

  const tenant = state.tenants.get(fact.tenant);
  const host = hostNumberOf(state, fact.tenant, fact.host);
  if (state.agents.isQuarantined(host)) return "quarantined";
  // A clock that runs ahead, or lies, must not keep a window open into the future.
  const atMs = Math.min(fact.atMs, state.clockMs);
  if (state.clockMs - atMs > lateMsMax) return "late";
  if (tenant.allows.covers(address)) return "allowed";
  const forFleet = !state.lists.fleetAllows.covers(address);
  if (!forFleet && tenant.trust === "full") return "allowed";

  const subject = subjectOf(address, state.policy.ipv6Prefix);
  const coveredUntilMs = state.bans.coveredUntilMs(subject, tenant.scope);
  if (atMs <= coveredUntilMs) return "banned";
  // By hand, one address of an IPv6 subject can be banned alone.
  if (subject.prefix < address.prefix && atMs <= state.bans.coveredUntilMs(address, tenant.scope)) return "banned";

  const why = fact.admitted === true ? undefined : state.agents.brokenLimit(host, subject, atMs);
  if (why !== undefined) {
    state.agents.quarantine(host);
    decisions.push({ kind: "quarantine", atMs: state.clockMs, tenant: fact.tenant, host: fact.host, why });
    return "quarantined";
  }
  if (!owns(state, subject)) return "elsewhere";
  const entry = { atMs, host, jail: state.jails.numberOf(fact.jail), forFleet, count: fact.count };
  const incident = state.windows.add(tenant.number, subject, entry, coveredUntilMs, state.clockMs);
  if (incident !== undefined) answer(state, tenant, subject, incident, decisions);
  return forFleet ? "fleet" : "tenant";
}

/** What follows from a full window: a fleet ban where the tenant's word is enough, else a tenant ban and a vote. */
function answer(state: State, tenant: Tenant, subject: Net, incident: Incident, decisions: Decision[]): void {
  const jail = incident.jail === null ? null : state.jails.nameOf(incident.jail);
  const scope = tenant.trust === "full" ? "fleet" : tenant.scope;
  const sources = incident.hosts.map((host) => state.hosts.nameOf(host));
  const ban = propose(
    state,
    {
      net: subject,
      scope,
      reason: jail === null ? "spread" : `jail ${jail}`,
      ports: jail === null ? null : jailPolicyOf(state.policy, jail).ports,
      evidence: evidenceOf(sources, incident.failures),
      vote: tenant.trust === "vote" && incident.forFleet,
      tenant: tenant.name,
    },
    decisions,
  );
  if (ban?.vote === true) countVotes(state, subject, decisions);
}

function countVotes(state: State, subject: Net, decisions: Decision[]): void {
  const { fleet } = state.policy;
  const votes = tallyVotes(state.bans.of(subject), (name) => state.tenants.get(name), fleet, state.clockMs);
  // While a fleet ban stands, failures under it are evidence only and nobody gets to vote: none can stand here.
  if (votes.tenants.length < fleet.tenants) return;
  const { evidence, ports } = votes;
  const proposal = {
    net: subject,
    scope: "fleet",
    reason: "votes",
    ports,
    evidence,
    vote: false,
    tenant: null,
  } as const;
  propose(state, proposal, decisions);
}
