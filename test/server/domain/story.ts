import { parseEvent } from "../../../server/cli/replay-events.ts";
import { createJudge } from "../../../server/domain/create-judge.ts";
import type { Decision, Judge } from "../../../server/domain/judge.ts";
import { type Policy, parsePolicy } from "../../../server/domain/policy.ts";

/** An event of `fleet2ban replay`. */
export type Event = Readonly<Record<string, unknown>>;

export const hour = 3600;
export const day = 24 * hour;
/** A second to start at: late enough that a tenant can be old. */
export const start = 1_700_000_000;

export const defaultPolicy = parsePolicy(undefined, "policy");

/** Runs the events and tells each decision in one short line, times relative to `start`. */
export function tell(events: readonly Event[], policyDocument?: unknown): string[] {
  const judge = createJudge(parsePolicy(policyDocument, "policy"));
  return decide(judge, events).map(lineOf);
}

export function decide(judge: Judge, events: readonly Event[]): Decision[] {
  return events.flatMap((event) => {
    const { atMs, fact } = parseEvent(JSON.stringify(event), "test");
    return [...judge.apply(fact, atMs).decisions];
  });
}

export function judgeOf(events: readonly Event[], policy: Policy = defaultPolicy): Judge {
  const judge = createJudge(policy);
  decide(judge, events);
  return judge;
}

export function lineOf(decision: Decision): string {
  const at = decision.atMs / 1000 - start;
  if (decision.kind === "quarantine") return `${at} quarantine ${decision.tenant}/${decision.host}: ${decision.why}`;
  const { kind, net, scope } = decision;
  if (decision.kind === "mistake") return `${at} mistake ${net} ${scope}`;
  if (decision.kind === "unban") return `${at} unban ${net} ${scope} ${decision.reason}`;
  if (decision.kind !== "ban") return `${at} ${kind} ${net} ${scope}: ${decision.why}`;
  const { level, untilMs, ports, reason, evidence } = decision;
  const until = untilMs === null ? "ever" : untilMs / 1000 - start;
  const counts = `${evidence.hosts}h ${evidence.tenants}t ${evidence.failures}f`;
  return `${at} ban ${net} ${scope} L${level} until ${until} ${ports?.join() ?? "all"} ${reason} ${counts}`;
}

/** One failure of jail sshd on host h1, `at` seconds after `start`. */
export function failure(at: number, ip: string, more: Event = {}): Event {
  return { at: start + at, kind: "failure", host: "h1", jail: "sshd", ip, ...more };
}

/** As many failures as a jail needs for an incident, in one second. */
export function incident(at: number, ip: string, more: Event = {}): Event {
  return failure(at, ip, { count: 3, ...more });
}

export const tick = (at: number): Event => ({ at: start + at, kind: "tick" });
export const event = (at: number, kind: string, more: Event): Event => ({ at: start + at, kind, ...more });
/** A customer, `ageSeconds` old at `start`. */
export const voter = (tenant: string, ageSeconds = 365 * day): Event =>
  event(0, "tenant", { tenant, trust: "vote", createdAt: start - ageSeconds });
