import { formatShort, parseNet } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { cutConnections } from "./cut-connections.ts";
import { entryListBackend } from "./entry-list.ts";
import type { ElementName, FirewallBackend } from "./firewall.ts";
import { firstLine, type RunCommand } from "./run-command.ts";

/** ufw takes 0.4 s per ban: two hundred are over a minute. */
const entriesMax = 200;
const comment = "fleet2ban";

/** Bans as rules of ufw, for operators who insist on seeing them in `ufw status`. nftables works beside ufw and is better. */
export function ufwBackend(
  run: RunCommand,
  ufw: string,
  now: () => number,
  conntrack: string | undefined,
): FirewallBackend {
  const rules = async () => {
    const result = await run([ufw, "show", "added"]);
    if (result.code !== 0) throw new Fleet2banError("unavailable", `ufw: ${firstLine(result)}; is it enabled?`);
    const ours = new RegExp(`^ufw deny (?:from )?(.+) comment '${comment}'$`, "gm");
    return [...result.stdout.matchAll(ours)].map(([, rule = ""]) => canonicalRule(rule));
  };
  const remove = async (entries: readonly string[]) => {
    for (const entry of entries) await run([ufw, "delete", "deny", ...words(entry)]);
  };
  return entryListBackend(
    {
      name: "ufw",
      entriesMax,
      warnings: [
        "ufw: each ban takes about 0.4 s and at most 200 are held",
        "ufw: bans stay after the agent dies and over a reboot, until the agent runs again",
        "ufw: ports published by containers are not covered",
        ...(conntrack === undefined ? ["ufw: established connections stay open; apt-get install conntrack"] : []),
      ],
      entryOf: entryText,
      prepare: async () => undefined,
      present: rules,
      add: async (entries) => {
        const refused: string[] = [];
        for (const entry of entries) {
          const result = await run([ufw, "prepend", "deny", ...words(entry), "comment", comment]);
          if (result.code !== 0) refused.push(entry);
        }
        return refused;
      },
      remove,
      cut: (nets) => cutConnections(run, conntrack, nets),
      running: async () => /^Status: active/m.test((await run([ufw, "status"])).stdout),
      teardown: async () => remove(await rules()),
    },
    now,
  );
}

/** `192.0.2.1` or `192.0.2.1 22,80`. */
function entryText({ net, ports }: ElementName): string {
  const parsed = parseNet(net);
  const text = parsed === undefined ? net : formatShort(parsed);
  return ports === null ? text : `${text} ${ports.toSorted((one, other) => one - other).join(",")}`;
}

function words(entry: string): readonly string[] {
  const [net = "", ports] = entry.split(" ");
  return ["from", net, ...(ports === undefined ? [] : ["to", "any", "port", ports])];
}

function canonicalRule(rule: string): string {
  const [, net = "", port] = /^(\S+)(?: to any port (\S+))?$/.exec(rule) ?? [];
  return port === undefined ? net : `${net} ${port}`;
}
