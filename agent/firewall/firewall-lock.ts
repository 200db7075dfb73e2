import { chmodSync, mkdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { giveToOwner } from "../give-to-owner.ts";
import type { Logger } from "../logger.ts";

/** Gone after a reboot, as the firewall is. systemd makes it for the service, and names it. */
const runtimeDir = "/run/fleet2ban-agent";
/** Source: sqlite.org/rescode.html. */
const lockedCode = 5;

/**
 * Holds this host's firewall for one agent: two would write each other's bans away, every minute, for ever. Per network
 * namespace, as firewalls are. The operating system lets go when the process ends, however it ends.
 *
 * @throws Fleet2banError `unavailable` when another agent holds it
 */
export function lockFirewall(log: Logger, folder: string = process.env.RUNTIME_DIRECTORY ?? runtimeDir): Disposable {
  let lock: DatabaseSync | undefined;
  try {
    const namespace = /\d+/.exec(readlinkSync("/proc/self/ns/net"))?.[0] ?? "";
    const file = join(folder, `firewall-${namespace}.lock`);
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    lock = new DatabaseSync(file);
    chmodSync(file, 0o600);
    giveToOwner(file);
    lock.exec("BEGIN EXCLUSIVE");
    const held = lock;
    return { [Symbol.dispose]: () => held.close() };
  } catch (cause) {
    lock?.close();
    const code = cause instanceof Error && "errcode" in cause ? Number(cause.errcode) & 0xff : 0;
    if (code === lockedCode) {
      throw new Fleet2banError(
        "unavailable",
        "firewall: another fleet2ban agent holds this host's firewall; stop it first, or let this one only observe",
        { cause },
      );
    }
    // Whoever may not write there can still protect this host; the state directory has a lock of its own.
    const fields = { folder, problem: messageOf(cause), event: "firewall_not_locked" };
    log.warn(fields, "could not lock the firewall: nothing keeps a second agent away from it");
    return { [Symbol.dispose]: () => undefined };
  }
}
