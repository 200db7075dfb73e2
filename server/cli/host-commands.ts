import type { z } from "zod";
import { UsageError } from "../../shared/command-line.ts";
import { nameOfList } from "../../shared/firewall-lists.ts";
import { Host, pageOf } from "../http/schemas.ts";
import { type Command, dryRun, help, queryOf, yes } from "./command.ts";
import { plain, table } from "./table.ts";

type HostRow = z.infer<typeof Host>;
/** What `hosts VERB HOST` sends; `rename` and `move` take a word more. */
const changes: Readonly<Record<string, (word: string | undefined, off: boolean) => object>> = {
  quarantine: (_word, off) => ({ quarantined: !off }),
  observe: (_word, off) => ({ observe: !off }),
  contribute: (_word, off) => ({ contribute: !off }),
  rename: (word) => ({ label: needed(word, "rename HOST LABEL") }),
  move: (word) => ({ tenant: needed(word, "move HOST TENANT") }),
};
const verbs = [...Object.keys(changes), "revoke"];

export const hosts: Command = {
  words: verbs,
  help: help(
    "hosts [HOST | VERB HOST [WORD]]",
    `Every host: connected, in step, enforcing. HOST: one of them.
  quarantine HOST [--off]   its failures are evidence only
  observe HOST [--off]      it enforces none of the bans ordered; its own jails go on
  contribute HOST [--off]   its failures are taken (--off: they are not)
  rename HOST LABEL         what people call it; its name on the bus stays
  move HOST TENANT          to another tenant
  revoke HOST               its credentials are worthless from now on`,
    {
      tenant: { value: "NAME", help: "only this tenant's" },
      search: { value: "TEXT", help: "part of the name or label" },
      troubled: { help: "only those that are away, behind, not enforcing, quarantined or report problems" },
      limit: { value: "N", help: "rows (default 100)" },
      cursor: { value: "TEXT", help: "go on where a page ended" },
      off: { help: "ends quarantine, observe or contribute" },
      reason: { value: "TEXT", help: "why, for the audit log" },
      ...dryRun,
      ...yes,
    },
    [0, 3],
  ),
  async run(api, line, _nowMs, terminal) {
    const [verb, host, word] = line.positionals;
    if (verb !== undefined && verbs.includes(verb)) {
      const name = needed(host, `${verb} HOST`);
      const query = queryOf({ reason: line.text("reason"), dryRun: line.on("dry-run") });
      const path = `/hosts/${encodeURIComponent(name)}${query}`;
      const change = changes[verb]?.(word, line.on("off"));
      if (change === undefined || verb === "move") {
        if (!line.on("dry-run"))
          await terminal.confirm(change === undefined ? `Revoke ${name} for good?` : `Move ${name} to ${word}?`);
      }
      const after =
        change === undefined ? await api.delete(path, Host) : await api.send("PATCH", path, { body: change }, Host);
      return { values: [after], text: hostText(after) };
    }
    if (verb !== undefined) {
      if (host !== undefined) throw new UsageError(`fleet2ban hosts: say ${verbs.join(", ")}, or one host; see --help`);
      const found = await api.get(`/hosts/${encodeURIComponent(verb)}`, Host);
      return { values: [found], text: hostText(found) };
    }
    const given = Object.fromEntries(["tenant", "search", "cursor"].map((name) => [name, line.text(name)]));
    const limit = line.text("limit") ?? "100";
    const page = await api.get(`/hosts${queryOf({ ...given, limit, troubled: line.on("troubled") })}`, pageOf(Host));
    const more = page.next === null ? "" : `more: add --cursor ${page.next}\n`;
    const isSearch = line.on("troubled") || Object.values(given).some((value) => value !== undefined);
    return { values: page.items, text: hostTable(page.items, isSearch) + more };
  },
};

function hostTable(items: readonly HostRow[], isSearch: boolean): string {
  const rows = items.map((host) => [
    `${host.tenant}/${host.host}`,
    stateOf(host),
    host.behind === null ? "-" : String(host.behind),
    host.firewall ?? "-",
    host.enforcing === null ? "-" : host.enforcing ? "yes" : "NO",
    host.version ?? "-",
    host.lastSeen ?? "never",
    host.label ?? "",
    host.problems.join("; "),
  ]);
  return table(
    ["HOST", "STATE", "BEHIND", "FIREWALL", "ENFORCING", "VERSION", "LAST SEEN", "LABEL", "PROBLEMS"],
    rows,
    isSearch ? "no such hosts" : "no hosts yet: make a token with `fleet2ban token enroll`",
  );
}

function stateOf(host: HostRow): string {
  if (host.state !== "active") return host.state;
  return `${host.connected ? "connected" : "away"}${host.observe ? ", observes" : ""}${host.contribute ? "" : ", silent"}`;
}

function hostText(host: HostRow): string {
  const lines: readonly (readonly [string, string])[] = [
    ["host", `${host.tenant}/${host.host}`],
    ["label", host.label ?? "-"],
    ["state", stateOf(host)],
    ["last seen", host.lastSeen ?? "never"],
    ["enrolled", host.enrolled],
    ["version", host.version ?? "-"],
    ["firewall", `${host.firewall ?? "-"}${host.enforcing === false ? ", NOT enforcing" : ""}`],
    ...host.blocked.map(({ list, packets }) => ["stopped", `${packets} packets by ${nameOfList(list)}`] as const),
    ["behind", host.behind === null ? "unknown" : `${host.behind} orders`],
    ["clock", host.clockSkewMs === null ? "unknown" : `${host.clockSkewMs} ms away`],
    ...host.problems.map((problem) => ["problem", problem] as const),
  ];
  return lines.map(([name, value]) => `${name.padEnd(10)} ${plain(value)}\n`).join("");
}

function needed(word: string | undefined, usage: string): string {
  if (word !== undefined) return word;
  throw new UsageError(`usage: fleet2ban hosts ${usage}`);
}
