import { z } from "zod";
import { UsageError } from "../../shared/command-line.ts";
import { version as client } from "../../shared/version.ts";
import { Me, Stats, Status } from "../http/status.ts";
import { Tenant } from "../http/tenants.ts";
import { type Command, dryRun, help, queryOf, yes } from "./command.ts";
import { jailStatus } from "./jail-commands.ts";
import { plain, table } from "./table.ts";

export const status: Command = {
  help: help(
    "status [JAIL]",
    "The fleet in one glance, and what is not as it should be; or one jail, as fail2ban-client shows it.",
    {},
    [0, 1],
  ),
  async run(api, line) {
    const [jail] = line.positionals;
    if (jail !== undefined) return await jailStatus(api, jail);
    const now = await api.get("/status", Status);
    const stats = await api.get("/stats", Stats);
    const levels = Object.entries(now.bans.byLevel).map(([level, count]) => `${level}: ${count}`);
    const jails = [...new Set(stats.attacksPerMinute.map((each) => each.jail))].toSorted();
    const { bans, lifted, rate } = stats.falsePositives;
    const { latency } = stats;
    const month = stats.attacksPerDay.reduce((sum, day) => sum + day.count, 0);
    const lines = [
      `hosts     ${now.hosts.connected}/${now.hosts.total} connected, ${now.hosts.lagging} lagging, ${now.hosts.notEnforcing} not enforcing`,
      `bans      ${now.bans.active} active${levels.length > 0 ? ` (${levels.join(", ")})` : ""}, ${stats.held} held, ${stats.approvals} to approve`,
      `failures  ${now.failuresLastHour} in the last hour${jails.length > 0 ? ` (${jails.map(plain).join(", ")})` : ""}, ${month} in the 30 days before today`,
      `mistakes  ${lifted} of ${bans} bans of the week lifted within a day (${(rate * 100).toFixed(1)} %)`,
      ...(latency === null ? [] : [`latency   ${latency.p50Ms} ms (p50), ${latency.p99Ms} ms (p99) until enforced`]),
      ...now.degraded.map((sentence) => `!         ${plain(sentence)}`),
    ];
    return { values: [{ ...now, stats }], text: `${lines.join("\n")}\n` };
  },
};

export const ping: Command = {
  help: help("ping", "Whether the coordinator answers and knows the token.", {}, [0, 0]),
  async run(api) {
    const me = await api.get("/me", Me);
    return { values: [me], text: `pong: ${plain(me.name)}, ${me.role} of ${me.tenant ?? "the whole fleet"}\n` };
  },
};

export const version: Command = {
  help: help("version", "The coordinator's version, and this command's.", {}, [0, 0]),
  async run(api) {
    const { version: server } = await api.get("/status", Status);
    return { values: [{ server, client }], text: `coordinator ${plain(server)}, fleet2ban ${client}\n` };
  },
};

export const tenants: Command = {
  help: help(
    "tenants [NAME [--trust full|vote] [--quarantine|--release]]",
    "Lists tenants; adds one that is not there, or changes one that is.",
    {
      trust: { value: "TRUST", help: "full: its failures ban fleet-wide; vote (default): they are one vote" },
      quarantine: { help: "it has no vote from now on" },
      release: { help: "ends the quarantine" },
      reason: { value: "TEXT", help: "why, for the audit log" },
      ...dryRun,
      ...yes,
    },
    [0, 1],
  ),
  async run(api, line, _nowMs, terminal) {
    const [name] = line.positionals;
    const listed = async () => (await api.get("/tenants", z.object({ items: z.array(Tenant) }))).items;
    const before = await listed();
    if (name === undefined) return { values: before, text: tenantTable(before) };
    const [trust, isBad, isGood] = [line.text("trust"), line.on("quarantine"), line.on("release")];
    const query = queryOf({ reason: line.text("reason"), dryRun: line.on("dry-run") });
    if (trust === "full" && !line.on("dry-run")) await terminal.confirm(`Let failures of ${name} ban on every host?`);
    const known = before.find((tenant) => tenant.name === name);
    if (known === undefined) {
      if (isBad || isGood) throw new UsageError(`fleet2ban tenants: there is no tenant ${name}`);
      const made = await api.post(`/tenants${query}`, { name, trust: trust ?? "vote" }, Tenant);
      return { values: line.on("dry-run") ? [made] : await listed(), text: tenantTable([made]) };
    }
    const change = {
      ...(trust === undefined ? {} : { trust }),
      ...(isBad || isGood ? { quarantined: isBad } : {}),
    };
    if (Object.keys(change).length === 0) return { values: [known], text: tenantTable([known]) };
    const carried = { body: change, ifMatch: known.etag };
    const after = await api.send("PATCH", `/tenants/${encodeURIComponent(name)}${query}`, carried, Tenant);
    return { values: [after], text: tenantTable([after]) };
  },
};

function tenantTable(items: readonly z.infer<typeof Tenant>[]): string {
  const rows = items.map(({ name, trust, hosts, created, quarantined }) => [
    ...[name, trust, String(hosts), created, quarantined ? "quarantined" : ""],
  ]);
  return table(["TENANT", "TRUST", "HOSTS", "SINCE", ""], rows, "no tenants");
}
