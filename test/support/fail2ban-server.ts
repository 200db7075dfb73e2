import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { waitFor } from "./wait-for.ts";

const program = "/usr/bin/fail2ban-server";
/** Why tests against a real fail2ban-server cannot run here, or false. */
export const withoutFail2banServer: string | false = existsSync(program)
  ? false
  : `${program} is not there: apt-get install fail2ban`;

const startMs = 60_000;

/** A real fail2ban-server with socket, database and log of its own; it acts on nothing but what its actions write. */
export type Fail2banServer = AsyncDisposable & Readonly<{ pid: number; database: string; log(): string }>;

/** Writes `files` below `folder` and starts the server on them. Ready once its jails are started. */
export async function openFail2banServer(
  folder: string,
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<Fail2banServer> {
  const place = (name: string) => join(folder, name);
  const database = place("fail2ban.sqlite3");
  const settings = {
    loglevel: "INFO",
    logtarget: place("fail2ban.log"),
    syslogsocket: "auto",
    socket: place("fail2ban.sock"),
    pidfile: place("fail2ban.pid"),
    dbfile: database,
    dbpurgeage: "30y",
    dbmaxmatches: "10",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  writeFiles(folder, { "fail2ban.conf": `[Definition]\n${lines.join("\n")}\n`, ...files });
  const args = ["-c", folder, "-s", settings.socket, "-p", settings.pidfile, "-f", "start"];
  const server = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  let output = "";
  for (const stream of [server.stdout, server.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<void>((resolve) => server.once("close", () => resolve()));
  const kill = () => server.kill("SIGKILL");
  process.on("exit", kill);
  const log = () => (existsSync(settings.logtarget) ? readFileSync(settings.logtarget, "utf8") : "");
  const stop = async () => {
    if (server.exitCode === null) server.kill("SIGTERM");
    await ended;
    process.off("exit", kill);
  };
  try {
    await waitFor(
      () => {
        if (server.exitCode !== null) throw new Error(`fail2ban-server ended: ${output}${log()}`);
        return /Jail '\S+' started/.test(log());
      },
      "fail2ban-server to start its jail",
      startMs,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: server.pid ?? 0, database, log, [Symbol.asyncDispose]: stop };
}

export function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}
