import type { Evidence } from "./judge.ts";

/** Hosts named in one ban's evidence: enough for a person to follow; the count beside them is always whole. */
export const sourcesMax = 64;

export const noEvidence: Evidence = { hosts: 0, tenants: 0, failures: 0, sources: [] };

/** Evidence of one incident. `sources` are distinct, as `tenant/host`. */
export function evidenceOf(sources: readonly string[], failures: number): Evidence {
  return { hosts: sources.length, tenants: 1, failures, sources: sources.toSorted().slice(0, sourcesMax) };
}

/** Several bans' evidence as one: hosts and tenants that appear in more than one count once. */
export function sumEvidence(parts: readonly Evidence[]): Evidence {
  const sources = [...new Set(parts.flatMap((part) => part.sources))].toSorted();
  const tenants = new Set(sources.map((source) => source.slice(0, source.indexOf("/"))));
  return {
    // Where a part named fewer hosts than it counted, its own count is the better bound.
    hosts: Math.max(sources.length, ...parts.map((part) => part.hosts)),
    tenants: Math.max(tenants.size, ...parts.map((part) => part.tenants)),
    failures: parts.reduce((sum, part) => sum + part.failures, 0),
    sources: sources.slice(0, sourcesMax),
  };
}
