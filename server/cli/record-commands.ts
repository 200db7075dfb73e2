import { UsageError } from "../../shared/command-line.ts";
import { Erased } from "../http/records.ts";
import { shortNet } from "./ban-table.ts";
import { type Command, dryRun, help, queryOf, yes } from "./command.ts";

export const records: Command = {
  help: help(
    "records NET",
    "A copy of everything that is kept about an address or network, one JSON object a line: for whoever has it and asks.",
    {},
    [1, 1],
  ),
  async run(api, line) {
    return { values: [], text: "", file: await api.download(`/records${queryOf({ net: line.positionals[0] })}`) };
  },
};

export const erase: Command = {
  help: help(
    "erase NET --reason TEXT",
    "Forgets an address: lifts its bans everywhere and erases what is kept about it. The audit log says that, and not whose.",
    { reason: { value: "TEXT", help: "who asked for it; do not name the address" }, ...dryRun, ...yes },
    [1, 1],
  ),
  async run(api, line, _nowMs, terminal) {
    const [net = ""] = line.positionals;
    const reason = line.text("reason");
    if (reason === undefined) throw new UsageError("fleet2ban erase: --reason is needed; see --help");
    const isDry = line.on("dry-run");
    if (!isDry) await terminal.confirm(`Erase what is kept about ${net}? It cannot be undone.`);
    const erased = await api.delete(`/records${queryOf({ net, reason, dryRun: isDry })}`, Erased);
    const { net: which, ...counts } = erased;
    const parts = Object.entries(counts).map(([kind, count]) => `${count} ${names[kind as keyof typeof names]}`);
    const text = `${isDry ? "would erase" : "erased"} of ${shortNet(which)}: ${parts.join(", ")}\n`;
    return { values: [erased], text };
  },
};

const names = {
  failures: "failures",
  counts: "counts of days",
  bans: "bans",
  stopped: "bans that were not made",
  localBans: "hosts' own bans",
  approvals: "requests to a second admin",
} as const;
