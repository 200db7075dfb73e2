import { type AgentConfig, loadAgentConfig } from "../config.ts";
import type { Settings } from "./jail-settings.ts";
import { loadSettings } from "./load-settings.ts";

/**
 * agent.yaml and every jail it leads to.
 *
 * @param configDir  in place of agent.yaml's, for trying a configuration out
 * @throws Fleet2banError `invalid` naming file, section, option and remedy
 */
export function resolveSettings(
  configFile: string | undefined,
  configDir?: string,
): Readonly<{ config: AgentConfig; settings: Settings }> {
  const config = loadAgentConfig(configFile, configDir === undefined ? {} : { configDir });
  const settings = loadSettings(config.configDir, { enable: config.jails, overlayDir: config.overlayDir });
  return { config, settings };
}
