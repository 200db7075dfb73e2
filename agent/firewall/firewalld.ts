import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatShort, parseNet } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { cutConnections } from "./cut-connections.ts";
import { entryListBackend } from "./entry-list.ts";
import type { FirewallBackend } from "./firewall.ts";
import { type CommandResult, firstLine, type RunCommand } from "./run-command.ts";

/** firewalld compares each new entry with all others. */
const entriesMax = 10_000;
const families = [
  { set: "fleet2ban4", inet: "inet" },
  { set: "fleet2ban6", inet: "inet6" },
] as const;

/** Bans as two ipsets of firewalld in its zone `drop`, for operators who insist. nftables works beside firewalld and is better. */
export function firewalldBackend(
  run: RunCommand,
  program: string,
  now: () => number,
  conntrack: string | undefined,
): FirewallBackend {
  const must = async (...args: readonly string[]): Promise<CommandResult> => {
    const result = await run([program, ...args]);
    if (result.code === 0) return result;
    throw new Fleet2banError("unavailable", `firewalld: ${firstLine(result)}; does the service run?`);
  };
  /** Entries go through a file, because firewall-cmd takes half a second per call. */
  const edit = async (verb: "add" | "remove", entries: readonly string[]): Promise<readonly string[]> => {
    const folder = mkdtempSync(join(tmpdir(), "fleet2ban-"));
    const refused: string[] = [];
    try {
      for (const { set, inet } of families) {
        const own = entries.filter((entry) => entry.includes(":") === (inet === "inet6"));
        if (own.length === 0) continue;
        const file = join(folder, set);
        writeFileSync(file, `${own.join("\n")}\n`, { mode: 0o600 });
        const result = await run([program, `--ipset=${set}`, `--${verb}-entries-from-file=${file}`]);
        if (result.code !== 0) refused.push(...own);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return refused;
  };
  return entryListBackend(
    {
      name: "firewalld",
      entriesMax,
      warnings: [
        "firewalld: each change takes about half a second",
        "firewalld: a ban of some ports stops every port",
        "firewalld: bans stay until the agent lifts them or firewalld reloads, so a dead agent bans on",
        ...(conntrack === undefined ? ["firewalld: established connections stay open; apt-get install conntrack"] : []),
      ],
      entryOf: ({ net }) => {
        const parsed = parseNet(net);
        return parsed === undefined ? net : formatShort(parsed);
      },
      prepare: async () => {
        const there = (await must("--permanent", "--get-ipsets")).stdout.trim().split(/\s+/);
        const missing = families.filter(({ set }) => !there.includes(set));
        for (const { set, inet } of missing) {
          await must("--permanent", `--new-ipset=${set}`, "--type=hash:net", `--option=family=${inet}`);
          await must("--permanent", "--zone=drop", `--add-source=ipset:${set}`);
        }
        // Sets can only be made in the permanent configuration; the reload is needed once in a host's life.
        if (missing.length > 0) await must("--reload");
      },
      present: async () => {
        const listings = await Promise.all(families.map(({ set }) => must(`--ipset=${set}`, "--get-entries")));
        return listings.flatMap(({ stdout }) => stdout.trim().split(/\s+/).filter(Boolean));
      },
      add: (entries) => edit("add", entries),
      remove: async (entries) => {
        await edit("remove", entries);
      },
      cut: (nets) => cutConnections(run, conntrack, nets),
      running: async () => (await run([program, "--state"])).code === 0,
      teardown: async () => {
        for (const { set } of families) {
          await must("--permanent", "--zone=drop", `--remove-source=ipset:${set}`);
          await must("--permanent", `--delete-ipset=${set}`);
        }
        await must("--reload");
      },
    },
    now,
  );
}
