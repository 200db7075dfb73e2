import { secondMs } from "../../shared/durations.ts";
import type { StatusReport } from "../../shared/fleet-messages.ts";
import type { StatusFindings } from "../orders/publisher.ts";

/** A report takes far less to get here; failures dated this wrongly begin to count in the wrong order. */
const clockSkewMaxMs = 10 * secondMs;

/** What an operator should know of a host, from what it reports; in sentences without the host's name. Pure. */
export function findingsOf(
  report: StatusReport,
  { drifting, ahead }: StatusFindings,
  { tenant, observe }: Readonly<{ tenant: string; observe: boolean }>,
  nowMs: number,
): readonly string[] {
  const problems: string[] = [];
  if (drifting.length > 0) problems.push(`holds other orders than it should: ${drifting.join(", ")}`);
  if (ahead !== undefined) problems.push(`holds orders of ${ahead.scope} that the coordinator does not know`);
  const skewMs = report.atMs - nowMs;
  if (Math.abs(skewMs) > clockSkewMaxMs) {
    problems.push(`its clock is ${Math.round(Math.abs(skewMs) / secondMs)} s ${skewMs > 0 ? "ahead" : "behind"}`);
  }
  if (report.canary === false) problems.push("its firewall does not stop the canary address");
  if (observe && report.observing !== true) {
    const why = report.observing === undefined ? "its version does not know how: update it" : "does not yet";
    problems.push(`is told to observe, and enforces: ${why}`);
  }
  if (!observe && report.observing === true) problems.push("observes although it is told to enforce");
  const left = tenantLeft(report, tenant);
  if (left !== undefined) problems.push(`still follows tenant ${left}`);
  if (report.refused.length > 0) problems.push(`refuses ${report.refused.length} orders: ${report.refused[0]?.why}`);
  return problems;
}

/** The tenant whose orders the host follows though it belongs to another one now. */
export function tenantLeft(report: StatusReport, tenant: string): string | undefined {
  const followed = report.scopes.find(({ scope }) => scope.startsWith("tenant:"))?.scope.slice("tenant:".length);
  return followed === tenant ? undefined : followed;
}
