import { ban, bans, explain, ruleCommand, unban } from "./ban-commands.ts";
import type { Command } from "./command.ts";
import { hosts, status, tenants, token } from "./fleet-commands.ts";

export const commands: Readonly<Record<string, Command>> = {
  status,
  hosts,
  bans,
  ban,
  unban,
  allow: ruleCommand(
    "allow",
    "Networks whose failures count for nothing; adding one lifts what it covers. Without arguments: the list.",
  ),
  never: ruleCommand("never", "Networks nothing may ever ban, whoever orders it. Without arguments: the list."),
  explain,
  tenants,
  token,
};
