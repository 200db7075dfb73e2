import { approvals } from "./approval-commands.ts";
import { ban, banned, bans, unban } from "./ban-commands.ts";
import type { Command } from "./command.ts";
import { feeds } from "./feed-commands.ts";
import { ping, status, tenants, version } from "./fleet-commands.ts";
import { hosts } from "./host-commands.ts";
import { get, set } from "./jail-commands.ts";
import { audit, exported, failures, held, incidents } from "./log-commands.ts";
import { policy } from "./policy-commands.ts";
import { erase, records } from "./record-commands.ts";
import { explain, ruleCommand } from "./rule-commands.ts";
import { token } from "./token-commands.ts";

export const commands: Readonly<Record<string, Command>> = {
  status,
  explain,
  bans,
  banned,
  ban,
  unban,
  get,
  set,
  allow: ruleCommand(
    "allow",
    "Networks whose failures count for nothing; adding one lifts what it covers. Without arguments: the list.",
  ),
  never: ruleCommand("never", "Networks nothing may ever ban, whoever orders it. Without arguments: the list."),
  feeds,
  failures,
  incidents,
  held,
  approvals,
  hosts,
  tenants,
  policy,
  token,
  audit,
  ping,
  version,
  export: exported,
  records,
  erase,
};
