import type { StatusReport } from "../shared/fleet-messages.ts";
import { type Enrollment, startEnrollment } from "./bus/enrollment.ts";
import type { HostActs } from "./desk/desk-parts.ts";
import type { Events } from "./events.ts";
import { followMoves } from "./follow-moves.ts";
import type { Conduct } from "./hosts/conduct.ts";
import { enrollmentStore } from "./hosts/enrollment-store.ts";
import type { HostDirectory } from "./hosts/host-directory.ts";
import { findingsOf, tenantLeft } from "./hosts/host-findings.ts";
import { collectStatusReports } from "./hosts/status-reports.ts";
import { watchConduct } from "./hosts/watch-conduct.ts";
import { changeHost } from "./ingest/fleet-acts.ts";
import type { JudgeWriter } from "./ingest/judge-writer.ts";
import type { BusSide } from "./open-bus-side.ts";
import type { Publisher } from "./orders/publisher.ts";
import { type HostRecord, recordReports } from "./store/hosts.ts";
import type { Store } from "./store/open-store.ts";
import { watchRewinds } from "./watch-rewinds.ts";

export type HostsSideParts = Readonly<{
  side: BusSide;
  store: Store;
  writer: JudgeWriter;
  directory: HostDirectory;
  conduct: Conduct;
  publisher: Publisher;
  /** As the database had them at the start. */
  known: readonly Pick<HostRecord, "host" | "movedMs">[];
  /** The order log has begun a new life. */
  setEpoch: (epoch: number) => void;
  events: Events;
  now: () => number;
}>;

export type HostsSide = Readonly<{
  enrollment: Enrollment;
  /** What the desk asks of the bus when people change a host. */
  acts: HostActs;
  /** What an operator should know, in sentences. */
  problems(): readonly string[];
}>;

/** Everything about hosts that is not their failures: enrolment, credentials, reports, conduct. */
export function openHostsSide(parts: HostsSideParts, opened: AsyncDisposableStack): HostsSide {
  const { side, store, writer, directory, conduct, publisher, events, now } = parts;
  const { bus, system, account, keys, publicAddress: address } = side;
  const { log } = events;
  const hosts = enrollmentStore(store, directory);
  const enrollment = startEnrollment({ bus, system, account, keys, address, store: hosts, now, log });
  opened.use(
    watchConduct({
      ...{ conduct, directory, events, now },
      async quarantine(host, why) {
        const target = { host, owner: null, seen: () => true };
        directory.put(await changeHost(writer, { by: "fleet2ban", note: why }, target, { quarantined: true }));
      },
    }),
  );
  const rewinds = watchRewinds(parts);
  const moves = followMoves({ ...parts, system, enrollment, log }, opened);
  const notice = (host: string, report: StatusReport): readonly string[] => {
    const tenant = directory.tenantOf(host) ?? "";
    const findings = publisher.noticeStatus(host, report);
    if (findings.ahead !== undefined) rewinds.notice(host, findings.ahead);
    if (tenantLeft(report, tenant) !== undefined) moves.strays(host);
    const wanted = { tenant, observe: directory.get(host)?.observe ?? false };
    const unready = keys.ordersNext !== null && report.nextOrderKey !== keys.ordersNext;
    if (unready) moves.announce(host);
    return [
      ...findingsOf(report, findings, wanted, now()),
      ...(unready ? ["does not know the next order key yet: do not use it before it does"] : []),
      ...conduct.problemsOf(host),
    ];
  };
  const record = (rows: Parameters<typeof recordReports>[1]) => recordReports(store, rows);
  const reports = opened.use(collectStatusReports({ directory, record, notice, events, now }));
  bus.onUp("status", (host, payload) => reports.receive(host, payload));
  const acts = { revoke: enrollment.revoke, move: moves.move, tell: (host: string) => publisher.tell(host) };
  return { enrollment, acts, problems: rewinds.problems };
}
