import { exitCodes } from "../../shared/errors.ts";
import { loadAgentConfig } from "../config.ts";
import { importFail2ban } from "../import-fail2ban.ts";
import { readFail2banDatabase } from "../jails/import-fail2ban-database.ts";
import { openLogger } from "../logger.ts";
import { openStore } from "../store/open-store.ts";
import { type AgentCommand, configOption, jsonOption, printJson } from "./command.ts";

const defaultDatabase = "/var/lib/fail2ban/fail2ban.sqlite3";

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent import [DATABASE] [options]",
    about:
      "Takes over what fail2ban remembers: standing bans, who was banned how often, and how far each log was read.\n" +
      `Stop fail2ban and the agent first. DATABASE: ${defaultDatabase} unless named; it is only read. Doing it again\n` +
      "changes nothing more. Jails keep their names, so bans of a jail that does not exist here wait for it.",
    options: { ...configOption, ...jsonOption },
    positionals: [0, 1],
  },
  async run(line) {
    const path = line.positionals[0] ?? defaultDatabase;
    const config = loadAgentConfig(line.text("config"));
    const nowMs = Date.now();
    const found = readFail2banDatabase(path, nowMs);
    // Refuses while an agent runs: it would not know of what is written behind its back.
    using store = openStore(config.stateDir, openLogger(config.logLevel));
    const taken = await importFail2ban(found, store, nowMs);
    if (line.on("json")) printJson({ database: path, ...taken });
    else {
      process.stdout.write(
        `${path}: took ${taken.bans} standing bans (${taken.bansKnown} were known here), ${taken.histories} histories ` +
          `and the place in ${taken.positions} logs (${taken.positionsLeft} are known here or other files by now)` +
          `${taken.unreadable > 0 ? `; ${taken.unreadable} rows could not be read` : ""}\n`,
      );
    }
    return exitCodes.ok;
  },
};
