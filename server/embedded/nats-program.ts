import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { Fleet2banError } from "../../shared/errors.ts";
import type { Logger } from "../logger.ts";

export type NatsProgram = Readonly<{ path: string; version: readonly [number, number, number] }>;

const versionTimeoutMs = 10_000;
const installHint = "install it with `apt-get install nats-server`, or give --nats-url for a server of your own";
/** Oldest with everything we use: permission templates. */
const versionLeast = [2, 9, 0] as const;

/**
 * Looks where the settings say, else in PATH and where distributions put it; services often run without the sbin folders.
 *
 * @throws Fleet2banError `unavailable` when there is none, or it is too old
 */
export async function findNatsServer(configured: string | undefined): Promise<NatsProgram> {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
  const places =
    configured === undefined ? folders.filter(Boolean).map((dir) => join(dir, "nats-server")) : [configured];
  for (const path of places) {
    if (!(await canExecute(path))) continue;
    const version = await versionOf(path);
    if (isOlder(version, versionLeast)) {
      const [is, least] = [version.join("."), versionLeast.join(".")];
      throw new Fleet2banError("unavailable", `${path} is version ${is}, at least ${least} is needed: ${installHint}`);
    }
    return { path, version };
  }
  throw new Fleet2banError("unavailable", `no nats-server found in ${places.join(", ")}: ${installHint}`);
}

/**
 * Says it when the version has published holes: crashes and bypasses over leaf nodes, websockets and JetStream
 * management, fixed in 2.11.16, 2.12.7 and 2.14.0. Our configuration opens none of the three to agents.
 */
export function warnOfHoles(program: NatsProgram, log: Logger): void {
  if (!hasKnownHoles(program.version)) return;
  log.warn(
    { version: program.version.join("."), event: "nats_old" },
    "nats-server has known security holes, fixed in 2.11.16, 2.12.7 and 2.14.0; update it before agents of strangers connect",
  );
}

export function hasKnownHoles(version: readonly number[]): boolean {
  if (version[0] === 2 && version[1] === 11) return isOlder(version, [2, 11, 16]);
  if (version[0] === 2 && version[1] === 12) return isOlder(version, [2, 12, 7]);
  return isOlder(version, [2, 14, 0]);
}

function isOlder(version: readonly number[], than: readonly number[]): boolean {
  for (const [index, part] of than.entries()) {
    const mine = version[index] ?? 0;
    if (mine !== part) return mine < part;
  }
  return false;
}

async function versionOf(path: string): Promise<readonly [number, number, number]> {
  try {
    const { stdout } = await promisify(execFile)(path, ["-v"], { timeout: versionTimeoutMs });
    const found = /v?(\d+)\.(\d+)\.(\d+)/.exec(stdout);
    if (found === null) throw new Error(`it printed ${stdout.slice(0, 100)}`);
    return [Number(found[1]), Number(found[2]), Number(found[3])];
  } catch (cause) {
    throw new Fleet2banError("unavailable", `${path} -v did not print a version: ${installHint}`, { cause });
  }
}

async function canExecute(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
