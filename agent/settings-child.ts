import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Fleet2banError } from "../shared/errors.ts";
import type { AgentConfig } from "./config.ts";
import type { Settings } from "./settings/jail-settings.ts";

/** Everything `agent run` must know before it starts, as plain data. */
export type Resolved = Readonly<{ config: AgentConfig; settings: Settings }>;

/** A configuration with hundreds of jails is read in a second; on a loaded machine it may take many. */
const readTimeoutMs = 60_000;
const outputBytesMax = 64 * 1024 * 1024;

/**
 * Reads agent.yaml and the fail2ban configuration in a short-lived process of its own: the readers (YAML, schemas, the
 * INI dialect) would cost the resident agent a third of its memory and are never needed again.
 *
 * @throws Fleet2banError `invalid` with the reader's own sentence
 */
export async function readSettingsApart(configFile: string | undefined): Promise<Resolved> {
  const main = process.argv[1] ?? "";
  const args = [...process.execArgv, main, "settings", ...(configFile === undefined ? [] : ["--config", configFile])];
  try {
    const options = { timeout: readTimeoutMs, maxBuffer: outputBytesMax };
    const { stdout } = await promisify(execFile)(process.execPath, args, options);
    // Written by this same program a moment ago: it is what it says it is.
    return JSON.parse(stdout) as Resolved;
  } catch (cause) {
    const stderr = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : "";
    const sentence = stderr.replace(/^fleet2ban-agent: /, "");
    throw new Fleet2banError("invalid", sentence === "" ? "the configuration could not be read" : sentence, { cause });
  }
}
