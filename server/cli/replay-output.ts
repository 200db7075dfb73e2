import type { BanDecision, Decision, MistakeDecision, QuarantineDecision } from "../domain/judge.ts";

/** Decisions the documented output names. The others only change what counts, so they are told on standard error. */
export type ShownDecision = Exclude<Decision, QuarantineDecision | MistakeDecision>;

/** One line of `--json`; its keys and their order are documented, so they are written out here. */
export function jsonLineOf(decision: ShownDecision): string {
  return `${JSON.stringify(jsonOf(decision))}\n`;
}

function jsonOf(decision: ShownDecision): object {
  const { kind, net, scope } = decision;
  const at = decision.atMs / 1000;
  switch (decision.kind) {
    case "ban": {
      const { level, untilMs, ports, reason } = decision;
      const { hosts, tenants, failures } = decision.evidence;
      const until = untilMs === null ? null : untilMs / 1000;
      return {
        at,
        kind,
        net,
        scope,
        level,
        until,
        ports: ports ?? "all",
        reason,
        evidence: { hosts, tenants, failures },
      };
    }
    case "unban":
      return { at, kind, net, scope, reason: decision.reason };
    case "held":
    case "refused":
      return { at, kind, net, scope, why: decision.why };
  }
}

/** The same for people. */
export function textLineOf(decision: ShownDecision): string {
  const { kind, net, scope } = decision;
  const words =
    decision.kind === "ban" ? banWords(decision) : decision.kind === "unban" ? decision.reason : decision.why;
  return `${timeOf(decision.atMs)}  ${kind.padEnd(7)}  ${net}  ${scope}: ${words}\n`;
}

function banWords({ level, untilMs, ports, reason, evidence }: BanDecision): string {
  const until = untilMs === null ? "until lifted" : `until ${timeOf(untilMs)}`;
  const where = ports === null ? "all ports" : `port ${ports.join(", ")}`;
  const words = [...(level === null ? [] : [`level ${level}`]), until, where].join(", ");
  if (reason === "admin") return `${words}; by hand`;
  const { failures, hosts, tenants } = evidence;
  const counts = [some(failures, "failure"), some(hosts, "host"), some(tenants, "tenant")].join(", ");
  return `${words}; ${reason}: ${counts}`;
}

export function quarantineNote(decision: QuarantineDecision): string {
  const { tenant, host, atMs, why } = decision;
  return `${timeOf(atMs)}  host ${tenant}/${host} is quarantined: ${why}; its failures count no more\n`;
}

export function mistakeNote({ net, scope, atMs }: MistakeDecision): string {
  return `${timeOf(atMs)}  an ended ban of ${net} (${scope}) was a false positive: it counts no more\n`;
}

export const some = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

const timeOf = (atMs: number): string => new Date(atMs).toISOString().replace("T", " ").replace(".000Z", "Z");
