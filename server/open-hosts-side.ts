import { hourMs, secondMs } from "../shared/durations.ts";
import { messageOf } from "../shared/errors.ts";
import type { StatusReport } from "../shared/fleet-messages.ts";
import { type Enrollment, startEnrollment } from "./bus/enrollment.ts";
import { issuedMsOf } from "./bus/jwt.ts";
import type { HostActs } from "./desk/desk-parts.ts";
import type { Events } from "./events.ts";
import type { Conduct } from "./hosts/conduct.ts";
import { enrollmentStore } from "./hosts/enrollment-store.ts";
import type { HostDirectory } from "./hosts/host-directory.ts";
import { findingsOf, tenantLeft } from "./hosts/host-findings.ts";
import { MovedHosts } from "./hosts/moved-hosts.ts";
import { collectStatusReports } from "./hosts/status-reports.ts";
import { watchConduct } from "./hosts/watch-conduct.ts";
import { changeHost } from "./ingest/fleet-acts.ts";
import type { JudgeWriter } from "./ingest/judge-writer.ts";
import type { BusSide } from "./open-bus-side.ts";
import type { Publisher } from "./orders/publisher.ts";
import { RewindWatch } from "./orders/rewind-watch.ts";
import { endMove, type HostRecord, recordReports } from "./store/hosts.ts";
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

/** A host that was moved is told again this often, until it follows. */
const lookAtMovedMs = 10 * secondMs;

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
  const rewinds = rewinding(parts);
  const moves = followMoves(parts, enrollment, opened);
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

/** Sends hosts that were moved their new tenant's credentials, and ends those of the one they left. */
function followMoves(
  { side, store, directory, known, events: { log }, now }: HostsSideParts,
  enrollment: Enrollment,
  opened: AsyncDisposableStack,
) {
  const moves = new MovedHosts();
  for (const { host, movedMs } of known) if (movedMs !== null) moves.add(host, movedMs);
  const inBackground = (host: string, work: Promise<void>): void => {
    work.catch((error: unknown) => {
      log.warn({ host, problem: messageOf(error), event: "move_waits" }, "could not follow a host to its new tenant");
    });
  };
  const end = async (host: string, publicKey: string, movedMs: number): Promise<void> => {
    await endMove(store, host, movedMs);
    if (moves.movedMs(host) === movedMs) moves.delete(host);
    await enrollment.endCredentials(publicKey, movedMs);
    log.info({ host, event: "move_ended" }, "ended the credentials a host had of the tenant it left");
  };
  const endOf = (host: string): void => {
    const [owner, movedMs] = [directory.get(host), moves.movedMs(host)];
    if (owner !== undefined && movedMs !== undefined) inBackground(host, end(host, owner.publicKey, movedMs));
  };
  side.system.onPresence(({ publicKey, connected, jwt }) => {
    const host = directory.hostOfKey(publicKey)?.host ?? "";
    const movedMs = moves.movedMs(host);
    if (connected && movedMs !== undefined && issuedMsOf(jwt) > movedMs) endOf(host);
  });
  const timer = setInterval(() => {
    const { tell, end: silent } = moves.review((host) => directory.isConnected(host), now());
    for (const host of tell) inBackground(host, enrollment.renew(host));
    for (const host of silent) endOf(host);
  }, lookAtMovedMs);
  opened.defer(() => clearInterval(timer));
  return {
    async move(host: string, movedMs: number): Promise<void> {
      moves.add(host, movedMs);
      await enrollment.renew(host);
    },
    /** It does not know yet which order key is to follow. */
    announce: (host: string): void => inBackground(host, enrollment.renew(host)),
    /** It follows a tenant it does not belong to. */
    strays(host: string): void {
      if (moves.movedMs(host) === undefined) moves.add(host, now() - secondMs);
    },
  };
}

/** People should look through their bans after that, and may not look here before the next day. */
const shownMs = 24 * hourMs;

/** Begins a new life of the order log when enough hosts show that this one is an older copy. */
function rewinding({ store, directory, publisher, setEpoch, events, now }: HostsSideParts) {
  const watch = new RewindWatch();
  let rewoundMs = Number.NEGATIVE_INFINITY;
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
    rewoundMs = now();
    await publisher.restart();
    const fields = { host, scope, revision, epoch, event: "order_log_rewound" };
    events.log.error(fields, "hosts know orders the database does not: it is an older copy; every agent begins anew");
  };
  return {
    notice(host: string, claim: Readonly<{ scope: string; revision: number }>): void {
      checking = checking
        .then(() => check(host, claim))
        .catch((error: unknown) => {
          events.log.warn({ problem: messageOf(error) }, "could not check whether the order log was rewound");
        });
    },
    problems(): string[] {
      if (now() - rewoundMs > shownMs) return [];
      const when = new Date(rewoundMs).toISOString().slice(0, 16);
      return [
        `at ${when} the database was found to be an older copy: bans are as they were when it was made, and what was lifted since then stands again`,
      ];
    },
  };
}
