import { once } from "node:events";
import { exitCodes } from "../../shared/errors.ts";
import { openLogger } from "../logger.ts";
import { run } from "../run.ts";
import { readSettingsApart } from "../settings-child.ts";
import { type AgentCommand, configOption } from "./command.ts";
import { startingHints } from "./next-steps.ts";

/** Ended by force if closing takes longer: systemd, and whoever waits for a reboot, count on it. */
const closeTimeoutMs = 9000;

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent run [options]",
    about:
      "Follows the logs, bans offenders at once, reports to the coordinator and obeys its orders. Works alone when it\n" +
      "has no credentials (`fleet2ban-agent enroll`) or the coordinator is away. SIGTERM stops it; the bans stay.",
    options: configOption,
  },
  async run(line) {
    const stop = new AbortController();
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => {
        stop.abort();
        // From the signal on: an agent that hangs while it starts must end, too.
        setTimeout(() => process.exit(exitCodes.other), closeTimeoutMs).unref();
      });
    }
    const { config, settings } = await readSettingsApart(line.text("config"));
    const log = openLogger(config.logLevel);
    {
      await using _agent = await run(config, settings, { now: Date.now, log });
      for (const hint of startingHints(config, settings)) log.warn({ event: "hint" }, hint);
      if (!stop.signal.aborted) await once(stop.signal, "abort");
    }
    log.info({ event: "stopped" }, "stopped; the bans stay in force");
    return exitCodes.ok;
  },
};
