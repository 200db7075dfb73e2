import { once } from "node:events";
import { reportFatal } from "../shared/command-line.ts";
import { exitCodeOf, exitCodes } from "../shared/errors.ts";
import { version } from "../shared/version.ts";
import { externalNatsConfig } from "./bus/external-nats.ts";
import { loadServerConfig } from "./config.ts";
import { openLogger } from "./logger.ts";
import { run } from "./run.ts";

/** Ended by force if closing takes longer; PostgreSQL and nats-server get most of it to end cleanly. */
const closeTimeoutMs = 9500;

try {
  process.exitCode = await main();
} catch (error) {
  process.exitCode = reportFatal("fleet2ban-server", error, exitCodeOf);
}

async function main(): Promise<number> {
  const stop = new AbortController();
  const endByForceLater = () => setTimeout(() => process.exit(exitCodes.other), closeTimeoutMs).unref();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      stop.abort();
      // From the signal on: one that still waits for its database must end, too.
      endByForceLater();
    });
  }
  const print = (text: string) => process.stdout.write(text);
  const args = process.argv.slice(2);
  if (args[0] === "--version") {
    print(`fleet2ban-server ${version}\n`);
    return exitCodes.ok;
  }
  const wantsNatsConfig = args[0] === "nats-config";
  const config = loadServerConfig(wantsNatsConfig ? args.slice(1) : args, process.env, print);
  if (config === null) return exitCodes.ok;
  if (wantsNatsConfig) {
    print(await externalNatsConfig(config, Date.now()));
    return exitCodes.ok;
  }
  const log = openLogger(config.logLevel);
  {
    await using coordinator = await run(config, { now: Date.now, log });
    const role = coordinator.standsBy
      ? "stands by while another one leads"
      : `agents connect to ${coordinator.natsUrl}`;
    print(`fleet2ban coordinator: ${coordinator.url} (dashboard and API), ${role}\n`);
    if (coordinator.adminToken !== undefined) print(`first admin token, shown once: ${coordinator.adminToken}\n`);
    if (!stop.signal.aborted) await Promise.race([once(stop.signal, "abort"), coordinator.failed]);
    endByForceLater();
  }
  log.info({ event: "stopped" }, "stopped");
  return exitCodes.ok;
}
