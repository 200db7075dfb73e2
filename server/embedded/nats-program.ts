import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { isLoopback } from "../../shared/bus-line.ts";
import { Fleet2banError } from "../../shared/errors.ts";

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
 * What is wrong with this version, in a sentence: crashes and bypasses over leaf nodes, WebSocket and JetStream management
 * are published. Our configuration opens neither leaf nodes nor JetStream to agents, so an old one is used and said
 * aloud: distributions ship it, and no bus at all protects nobody. WebSocket is another matter, see `refuseOpenHoles`.
 *
 * @param version  as nats-server tells it, `2.9.10`
 */
export function holesOf(version: string): string | undefined {
  const found = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (found !== null && !hasKnownHoles(found.slice(1).map(Number))) return undefined;
  return `nats-server ${version} has known security holes, ${fixedIn}; update it before agents of strangers connect`;
}

/**
 * A stranger can crash an old server through its WebSocket listener before he says who he is.
 *
 * @throws Fleet2banError `invalid` when that listener is to be open to others than this machine
 */
export function refuseOpenHoles(program: NatsProgram, websocketHost: string | undefined): void {
  if (websocketHost === undefined || isLoopback(websocketHost) || !hasKnownHoles(program.version)) return;
  throw new Fleet2banError(
    "invalid",
    `natsWebsocket: ${program.path} is version ${program.version.join(".")}, which strangers can crash over WebSocket ` +
      `(${fixedIn}); update it, or take natsWebsocket out`,
  );
}

const fixedIn = "fixed in 2.11.16, 2.12.7 and 2.14.0";

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
