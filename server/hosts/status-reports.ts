import { messageOf } from "../../shared/errors.ts";
import { decodeMessage, StatusReport } from "../../shared/fleet-messages.ts";
import type { Events } from "../events.ts";
import type { HostReport } from "../store/hosts.ts";
import { plainText } from "../store/plain-text.ts";
import { BlockedGrowths, knownLists } from "./blocked-growth.ts";
import type { HostDirectory } from "./host-directory.ts";

/** Ten thousand agents report every few seconds: their reports go to the database together. */
const writeEveryMs = 500;

export type StatusParts = Readonly<{
  directory: HostDirectory;
  record: (reports: readonly HostReport[]) => Promise<void>;
  /** Looks at what the host says it has carried out. @returns what is wrong with it, in sentences */
  notice: (host: string, report: StatusReport) => readonly string[];
  events: Events;
  now: () => number;
}>;

export type StatusReports = AsyncDisposable & Readonly<{ receive(host: string, payload: Uint8Array): void }>;

/** Takes what agents say of themselves: proof of arrival, versions, problems. The last report of a host is the one that counts. */
export function collectStatusReports(parts: StatusParts): StatusReports {
  let pending = new Map<string, HostReport>();
  let writing: Promise<void> = Promise.resolve();
  let isFailing = false;
  const growths = new BlockedGrowths();
  const record = async (reports: readonly HostReport[]): Promise<void> => {
    try {
      await parts.record(reports);
      isFailing = false;
    } catch (error) {
      const said = { problem: messageOf(error) };
      if (!isFailing) parts.events.log.warn(said, "could not write host reports, trying again until it works");
      isFailing = true;
      // The next regular one comes in a minute; until then a host would look as if it had not carried out its orders.
      for (const report of reports) if (!pending.has(report.host)) pending.set(report.host, report);
    }
  };
  const write = (): void => {
    if (pending.size === 0) return;
    const reports = [...pending.values()];
    pending = new Map();
    writing = writing.then(() => record(reports));
  };
  const lost = new Map<string, number>();
  const noteLost = (host: string, rows: number): void => {
    if (rows === (lost.get(host) ?? 0)) return;
    if (rows === 0) lost.delete(host);
    else lost.set(host, rows);
    parts.events.lost([...lost.values()].reduce((sum, each) => sum + each, 0));
  };
  const timer = setInterval(write, writeEveryMs);
  return {
    receive(host, payload) {
      const known = parts.directory.get(host);
      if (known === undefined || known.state === "revoked") {
        parts.events.refused("stranger", { host });
        growths.forget(host);
        noteLost(host, 0);
        return;
      }
      const report = decodeMessage(StatusReport, payload, `status of ${host}`);
      parts.directory.setConnected(host, true);
      if (report.observing !== true) parts.events.latency.reported(host, report.scopes, parts.now());
      const problems = [...parts.notice(host, report), ...report.problems];
      // A quarantined host is not believed in anything that is summed up.
      if (report.blocked !== undefined && known.state === "active") {
        for (const growth of growths.take(host, knownLists(report.blocked))) parts.events.blocked(growth);
      }
      noteLost(host, known.state === "active" ? (report.lost ?? 0) : 0);
      pending.set(host, toRecord(host, known.tenant, { ...report, problems }, parts.now()));
      for (const refused of report.refused) parts.events.refused("order_refused_by_host", { host, ...refused });
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      write();
      await writing;
    },
  };
}

function toRecord(host: string, tenant: string, report: StatusReport, nowMs: number): HostReport {
  const revisionOf = (scope: string) => report.scopes.find((each) => each.scope === scope)?.revision ?? 0;
  const fleet = report.scopes.find((each) => each.scope === "fleet");
  return {
    host,
    atMs: nowMs,
    version: plainText(report.version),
    firewall: plainText(report.firewall),
    // Whoever does not stop what it holds as a proof stops nothing for sure.
    enforcing: report.enforcing && report.canary !== false,
    clockSkewMs: Math.max(-2_000_000_000, Math.min(2_000_000_000, Math.round(report.atMs - nowMs))),
    ...(fleet === undefined ? {} : { orderEpoch: fleet.epoch, setHash: fleet.hash }),
    fleetRevision: revisionOf("fleet"),
    tenantRevision: revisionOf(`tenant:${tenant}`),
    hostRevision: revisionOf(`host:${host}`),
    problems: report.problems.map(plainText),
    ...(report.blocked === undefined ? {} : { blocked: knownLists(report.blocked) }),
  };
}
