import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { Fleet2banError } from "../../shared/errors.ts";
import type { Logger } from "../logger.ts";
import { forwardLines } from "./nats-log.ts";
import { endNats, stopNatsOrphan } from "./nats-orphan.ts";
import { findNatsServer, refuseOpenHoles } from "./nats-program.ts";

export type NatsServerOptions = Readonly<{
  /** Everything of this server is in here; 0700. */
  dir: string;
  /** The configuration's text; asked again before every start, because a preloaded account must be the newest. */
  config: (port: number) => string;
  /** On top of ours, which wins: an operator may know better. */
  env?: Readonly<Record<string, string>>;
  listen: Readonly<{ host: string; port: number }>;
  /** Where the configuration also listens for WebSocket. */
  websocketHost?: string | undefined;
  /** From the coordinator's settings; undefined = look for it. */
  program?: string | undefined;
  log: Logger;
  /** Public key of a user who tried what his credentials forbid. Once per line of the server's log. */
  onViolation?: ((publicKey: string) => void) | undefined;
}>;

export type NatsServer = AsyncDisposable &
  Readonly<{
    /** Where agents connect: `nats://127.0.0.1:4222`. It stays the same over restarts. */
    url: string;
    /** Of the process now running; tests kill it. */
    pid(): number | undefined;
    healthy(): Promise<boolean>;
    /** Reads its certificates again. It ends every connection for that; all come back. */
    reload(): void;
    stop(): Promise<void>;
  }>;

/** From start to the first healthy answer: 0.4 s cold, 0.03 s warm; a restart with 1 GB of stream takes some seconds. */
const startTimeoutMs = 30_000;
const startPollMs = 15;
const watchIntervalMs = 5_000;
/** Unhealthy answers in a row before the server is restarted. */
const unhealthyMax = 3;
const backoffMs = { first: 200, longest: 10_000 } as const;
const healthTimeoutMs = 2_000;

const PortsFile = z.object({ nats: z.array(z.string()).min(1), monitoring: z.array(z.string()).min(1) });

/**
 * Runs a nats-server as a managed child: stops one that a killed coordinator left behind, starts its own, restarts it
 * when it ends or no longer answers.
 *
 * @throws Fleet2banError `unavailable` when there is no nats-server or it does not get ready, `conflict` when another
 *   coordinator is running one in this directory
 */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const program = await findNatsServer(options.program);
  refuseOpenHoles(program, options.websocketHost);
  const orphan = await stopNatsOrphan(options.dir);
  if (orphan !== undefined) {
    options.log.warn({ pid: orphan, event: "nats_orphan_stopped" }, "stopped the nats-server of a killed coordinator");
  }
  let current = await launch(program.path, options, options.listen.port);
  const { port } = current;
  const stopping = new AbortController();
  const watching = watch();

  async function watch(): Promise<void> {
    let delayMs: number = backoffMs.first;
    while (!stopping.signal.aborted) {
      const failure = await firstFailure(current, stopping.signal);
      if (stopping.signal.aborted) return;
      options.log.error({ failure, event: "nats_restarting" }, "restarting nats-server");
      await endNats(current.child);
      while (!stopping.signal.aborted) {
        await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => undefined);
        delayMs = Math.min(delayMs * 2, backoffMs.longest);
        try {
          if (!stopping.signal.aborted) current = await launch(program.path, options, port);
          delayMs = backoffMs.first;
          break;
        } catch (error) {
          options.log.error({ err: error, delayMs, event: "nats_start_failed" }, "nats-server did not start");
        }
      }
    }
  }

  const stop = async () => {
    stopping.abort();
    await watching;
    await endNats(current.child);
  };
  return {
    url: `nats://${urlHost(options.listen.host)}:${port}`,
    pid: () => (current.child.exitCode === null ? current.child.pid : undefined),
    healthy: () => isHealthy(current.monitoringUrl),
    reload: () => void current.child.kill("SIGHUP"),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

type Running = Readonly<{ child: ChildProcess; port: number; monitoringUrl: string; ended: Promise<string> }>;

async function launch(programPath: string, options: NatsServerOptions, port: number): Promise<Running> {
  const { dir } = options;
  for (const name of readdirSync(dir)) if (name.endsWith(".ports")) rmSync(join(dir, name), { force: true });
  const configFile = join(dir, "nats.conf");
  writeFileSync(configFile, options.config(port), { mode: 0o600 });
  // A group of its own: Ctrl-C in a terminal must reach the coordinator only, which then stops in the right order.
  const env = { ...options.env, ...process.env };
  const child = spawn(programPath, ["-c", configFile], { detached: true, stdio: ["ignore", "ignore", "pipe"], env });
  const said = forwardLines(child.stderr, options.log, options.onViolation);
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(`ended with ${signal ?? `code ${code}`}`));
  });
  writeFileSync(join(dir, "owner"), String(process.pid), { mode: 0o600 });
  let over: string | undefined;
  void ended.then((how) => {
    over = how;
  });
  const deadlineMs = performance.now() + startTimeoutMs;
  while (over === undefined && performance.now() < deadlineMs) {
    const ports = readPorts(join(dir, `nats-server_${child.pid}.ports`));
    if (ports !== undefined && (await isHealthy(ports.monitoringUrl))) return { child, ended, ...ports };
    await sleep(startPollMs);
  }
  await endNats(child);
  throw new Fleet2banError(
    "unavailable",
    `nats-server on ${urlHost(options.listen.host)}:${port} ${over ?? "did not get ready"}: ${said.last() || "it said nothing"}; ` +
      "is the port free, and is the data directory writable?",
  );
}

/** Resolves with what is wrong, or when stopping. */
async function firstFailure(running: Running, signal: AbortSignal): Promise<string> {
  let unhealthy = 0;
  let over: string | undefined;
  const wake = new AbortController();
  void running.ended.then((how) => {
    over = how;
    wake.abort();
  });
  const woken = AbortSignal.any([signal, wake.signal]);
  while (over === undefined && !signal.aborted) {
    await sleep(watchIntervalMs, undefined, { signal: woken }).catch(() => undefined);
    if (over !== undefined || signal.aborted) break;
    unhealthy = (await isHealthy(running.monitoringUrl)) ? 0 : unhealthy + 1;
    if (unhealthy >= unhealthyMax) return "not healthy";
  }
  return over ?? "stopping";
}

async function isHealthy(monitoringUrl: string): Promise<boolean> {
  try {
    const response = await fetch(`${monitoringUrl}/healthz`, { signal: AbortSignal.timeout(healthTimeoutMs) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

/** The server writes this file when it listens. */
function readPorts(file: string): Readonly<{ port: number; monitoringUrl: string }> | undefined {
  try {
    const { nats, monitoring } = PortsFile.parse(JSON.parse(readFileSync(file, "utf8")));
    const port = Number(new URL(nats[0] ?? "").port);
    return { port, monitoringUrl: monitoring[0] ?? "" };
  } catch {
    return undefined;
  }
}

/** How to reach a server that listens everywhere: on this machine's loopback. */
function urlHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
