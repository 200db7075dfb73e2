import { secondMs } from "../shared/durations.ts";
import { messageOf } from "../shared/errors.ts";
import type { Enrollment } from "./bus/enrollment.ts";
import { issuedMsOf } from "./bus/jwt.ts";
import type { System } from "./bus/system.ts";
import type { HostDirectory } from "./hosts/host-directory.ts";
import { MovedHosts } from "./hosts/moved-hosts.ts";
import type { Logger } from "./logger.ts";
import { endMove, type HostRecord } from "./store/hosts.ts";
import type { Store } from "./store/open-store.ts";

export type MoveParts = Readonly<{
  system: Pick<System, "onPresence">;
  store: Store;
  directory: HostDirectory;
  enrollment: Enrollment;
  /** As the database had them at the start. */
  known: readonly Pick<HostRecord, "host" | "movedMs">[];
  log: Logger;
  now: () => number;
}>;

/** A host that was moved is told again this often, until it follows. */
const lookAtMovedMs = 10 * secondMs;

/** Sends hosts that were moved their new tenant's credentials, and ends those of the one they left. */
export function followMoves(
  { system, store, directory, enrollment, known, log, now }: MoveParts,
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
  system.onPresence(({ publicKey, connected, jwt }) => {
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
