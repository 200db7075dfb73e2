import { Fleet2banError } from "../../shared/errors.ts";
import { Definition } from "./definition.ts";
import { hostWideBan, isFirewallAction, verdictOf } from "./firewall-actions.ts";
import type { ActionSettings } from "./jail-settings.ts";
import type { Config, ConfigFiles } from "./read-config.ts";
import type { Reference } from "./reference.ts";
import { parsePorts, type ServicePorts } from "./service-ports.ts";

const actionOptions = [
  "actionstart",
  "actionstart_on_demand",
  "actionstop",
  "actionflush",
  "actionreload",
  "actioncheck",
  "actionrepair",
  "actionrepair_on_unban",
  "actionban",
  "actionprolong",
  "actionreban",
  "actionunban",
  "norestored",
];
/** Tags whose values exist only when a ban is made, although options of that name may exist. */
const dynamicTags = ["matches", "ipmatches", "ipjailmatches", "timeout", "bantime"];

export type LoadedAction = Readonly<{ action: ActionSettings | null; warnings: readonly string[] }>;

/**
 * Resolves one action of a jail.
 *
 * @param jail        the jail's options: actions refer to them (`<maxretry>`)
 * @returns           `action` null with a warning for what cannot run here
 * @throws Fleet2banError `invalid` when there is no such action
 */
export function loadAction(
  files: ConfigFiles,
  reference: Reference,
  jailName: string,
  jail: ReadonlyMap<string, string>,
  services: ServicePorts,
  place: string,
): LoadedAction {
  if (reference.name.endsWith(".py")) {
    const warning = `${place}: "${reference.name}" is a Python plug-in, which cannot run here; it is left out, use a command action instead`;
    return { action: null, warnings: [warning] };
  }
  const stock = isFirewallAction(reference.name);
  const config = files.read(`action.d/${reference.name}`);
  if (config === undefined && !stock) {
    const file = `${files.dir}/action.d/${reference.name}.conf`;
    throw new Fleet2banError("invalid", `${place}: there is no action ${file}; add it or correct the name`);
  }
  const name = actionName(reference, jailName);
  const given = new Map([...reference.options, ["actname", name] as const]);
  if (!given.has("name")) given.set("name", jailName);
  const definition = new Definition(
    config ?? emptyConfig(),
    actionOptions,
    given,
    `${files.dir}/action.d/${reference.name}`,
  );
  definition.read(jail, stock);
  const options = definition.combined(dynamicTags);
  if (stock) return firewallAction(reference.name, name, options, services, place);
  const kept = [...options].filter(([option]) => !option.startsWith("known/"));
  return { action: { kind: "command", name, options: Object.fromEntries(kept) }, warnings: [] };
}

function firewallAction(
  stockName: string,
  name: string,
  options: ReadonlyMap<string, string>,
  services: ServicePorts,
  place: string,
): LoadedAction {
  const verdict = verdictOf(options.get("blocktype"));
  if (hostWideBan(stockName, options))
    return { action: { kind: "firewall", name, ports: null, verdict }, warnings: [] };
  const { ports, warning } = parsePorts(options.get("port") ?? "", services);
  const warnings = warning === undefined ? [] : [`${place}: ${name}: ${warning}`];
  return { action: { kind: "firewall", name, ports, verdict }, warnings };
}

/** Unique per jail, as fail2ban names actions: the file's name, and what `name` adds to the jail's. */
function actionName(reference: Reference, jailName: string): string {
  const given = reference.options.get("actname");
  const name = reference.options.get("name") ?? jailName;
  if (given !== undefined) return given;
  if (name === jailName) return reference.name;
  return reference.name + (name.startsWith(jailName) ? name.slice(jailName.length) : `-${name}`);
}

function emptyConfig(): Config {
  return { defaults: new Map(), sections: new Map([["Definition", new Map()]]), known: new Map(), files: [] };
}
