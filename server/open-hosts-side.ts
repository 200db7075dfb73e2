import { minuteMs } from "../shared/durations.ts";
import { messageOf } from "../shared/errors.ts";
import type { StatusReport } from "../shared/fleet-messages.ts";
import { type Enrollment, startEnrollment } from "./bus/enrollment.ts";
import type { HostActs } from "./desk/desk-parts.ts";
import type { Events } from "./events.ts";
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
import { RewindWatch } from "./orders/rewind-watch.ts";
import { recordReports } from "./store/hosts.ts";
import type { Store } from "./store/open-store.ts";
import { revisions, startOrderEpoch } from "./store/orders.ts";
import { findTenant } from "./store/tenants.ts";

export type HostsSideParts = Readonly<{
  side: BusSide;
  store: Store;
  writer: JudgeWriter;
  directory: HostDirectory;
  conduct: Conduct;
  publisher: Publisher;
  /** The order log has begun a new life. */
  setEpoch: (epoch: number) => void;
  events: Events;
  now: () => number;
}>;

export type HostsSide = Readonly<{
  enrollment: Enrollment;
  /** What the desk asks of the bus when people change a host. */
  acts: HostActs;
}>;

/** A host that was moved while it was away is told again this often, until it follows. */
const tellAgainMs = minuteMs;

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
  const noticeAhead = rewinding(parts);
  const toldMs = new Map<string, number>();
  const follow = (host: string): void => {
    if (now() - (toldMs.get(host) ?? Number.NEGATIVE_INFINITY) < tellAgainMs) return;
    toldMs.set(host, now());
    enrollment.renew(host).catch((error: unknown) => {
      log.warn({ host, problem: messageOf(error), event: "renew_failed" }, "could not tell a host of its new tenant");
    });
  };
  const notice = (host: string, report: StatusReport): readonly string[] => {
    const tenant = directory.tenantOf(host) ?? "";
    const findings = publisher.noticeStatus(host, report);
    if (findings.ahead !== undefined) noticeAhead(host, findings.ahead);
    if (tenantLeft(report, tenant) === undefined) toldMs.delete(host);
    else follow(host);
    return [...findingsOf(report, findings, tenant, now()), ...conduct.problemsOf(host)];
  };
  const record = (rows: Parameters<typeof recordReports>[1]) => recordReports(store, rows);
  const reports = opened.use(collectStatusReports({ directory, record, notice, events, now }));
  bus.onUp("status", (host, payload) => reports.receive(host, payload));
  return { enrollment, acts: { revoke: enrollment.revoke, renew: enrollment.renew } };
}

/** Begins a new life of the order log when enough hosts show that this one is an older copy. */
function rewinding({ store, directory, publisher, setEpoch, events, now }: HostsSideParts) {
  const watch = new RewindWatch();
  let checking: Promise<void> = Promise.resolve();
  const check = async (host: string, { scope, revision }: Readonly<{ scope: string; revision: number }>) => {
    // Another coordinator may have written what this one has not heard of yet.
    const heads = new Map<string, number>(await revisions(store));
    if (revision <= (heads.get(scope) ?? 0)) return;
    const known = directory.get(host);
    const tenant = await findTenant(store, known?.tenant ?? "");
    const trusted = known?.state === "active" && tenant?.trust === "full" && !tenant.quarantined;
    if (!watch.claim({ host, trusted }, directory.listeners("fleet"), now())) return;
    const epoch = await startOrderEpoch(store, now());
    setEpoch(epoch);
    await publisher.restart();
    const fields = { host, scope, revision, epoch, event: "order_log_rewound" };
    events.log.error(fields, "hosts know orders the database does not: it is an older copy; every agent begins anew");
  };
  return (host: string, claim: Readonly<{ scope: string; revision: number }>): void => {
    checking = checking
      .then(() => check(host, claim))
      .catch((error: unknown) => {
        events.log.warn({ problem: messageOf(error) }, "could not check whether the order log was rewound");
      });
  };
}
