import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { exitCodes, Fleet2banError } from "../../shared/errors.ts";
import { loadAgentConfig } from "../config.ts";
import { requirePlace, saveCredentials } from "../fleet/credentials.ts";
import { enroll } from "../fleet/enroll.ts";
import { type AgentCommand, configOption, jsonOption, printJson } from "./command.ts";
import { nextSteps } from "./next-steps.ts";

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent enroll TOKEN [options]",
    about:
      "Joins a fleet: makes a key that never leaves this host, proves it to the coordinator and writes the credentials,\n" +
      "readable by their owner only. An admin makes the token with `fleet2ban token enroll`.",
    options: {
      name: { value: "NAME", help: "what this host would like to be called (default: its own name)" },
      force: { help: "replace credentials that are there" },
      ...configOption,
      ...jsonOption,
    },
    positionals: [1, 1],
  },
  async run(line) {
    const { credentials: file } = loadAgentConfig(line.text("config"));
    const again = existsSync(file);
    if (again && !line.on("force")) {
      throw new Fleet2banError("conflict", `${file}: this host is enrolled already; pass --force to enrol it anew`);
    }
    requirePlace(file);
    const credentials = await enroll(line.positionals[0] ?? "", line.text("name") ?? hostname(), Date.now());
    saveCredentials(file, credentials);
    const { host, tenant } = credentials;
    if (line.on("json")) printJson({ host, tenant, credentials: file });
    else
      process.stdout.write(
        `enrolled as ${tenant}/${host}; credentials in ${file}\n${nextSteps(again, line.text("config"))}`,
      );
    return exitCodes.ok;
  },
};
