import { z } from "zod";
import { UsageError } from "../../shared/command-line.ts";
import { Approval } from "../http/approvals.ts";
import { Lift } from "../http/lift.ts";
import { Ban, pageOf, Receipt } from "../http/schemas.ts";
import type { ApiClient } from "./api-client.ts";
import { waitsText } from "./approval-commands.ts";
import { banCells, banHead, dryReceiptText, levelName, receiptText, shortNet } from "./ban-table.ts";
import { type Answer, type Command, dryRun, help, isId, moreOf, paging, queryOf, yes } from "./command.ts";
import { table } from "./table.ts";
import { progressBar, type Terminal } from "./terminal.ts";

/** Scopes named one by one; a fleet has as many as hosts. */
const scopesShown = 10;
/** What one command line may name; a list that is longer is a filter, or a program. */
const netsMax = 1000;
/** Hosts that are connected have answered by then; of the others the receipt says that they have not. */
const waitSeconds = 2;
/** A page of what is read whole. */
const pageRows = 1000;

export const bans: Command = {
  help: help(
    "bans [NET]",
    "Active bans, newest first.",
    {
      all: { help: "ended ones too" },
      scope: { value: "SCOPE", help: "fleet, tenant:NAME or host:TENANT/HOST" },
      level: { value: "N", help: "only this level" },
      jail: { value: "JAIL", help: "only because of this jail" },
      reason: { value: "TEXT", help: "only these: spread, votes, network, admin" },
      sort: { value: "ORDER", help: "newest (default), oldest, or ending: what ends first" },
      ...paging,
    },
    [0, 1],
  ),
  async run(api, line, nowMs) {
    const given = Object.fromEntries(
      ["scope", "level", "jail", "reason", "sort", "cursor"].map((name) => [name, line.text(name)]),
    );
    const limit = line.text("limit") ?? "100";
    const query = queryOf({ ...given, limit, net: line.positionals[0], active: line.on("all") ? "false" : "true" });
    const page = await api.get(`/bans${query}`, pageOf(Ban));
    const rows = page.items.map((ban) => banCells(ban, nowMs));
    return { values: page.items, text: table(banHead, rows, "no bans") + moreOf(page.next) };
  },
};

export const banned: Command = {
  help: help(
    "banned [NET …]",
    "What is banned now, one network a line; with NET: the jails and reasons that ban it.",
    {},
    [0, netsMax],
  ),
  async run(api, line) {
    const nets = line.positionals;
    const items: z.infer<typeof Ban>[] = [];
    for (const net of nets.length === 0 ? [undefined] : nets) items.push(...(await everyBan(api, { net })));
    const lines = items.map((ban) => (nets.length === 0 ? shortNet(ban.net) : `${shortNet(ban.net)} ${ban.reason}`));
    return { values: items, text: [...new Set(lines)].map((each) => `${each}\n`).join("") };
  },
};

export const ban: Command = {
  help: help(
    "ban NET --time SPAN --reason TEXT",
    "Bans an address or network by hand, on every host unless a scope is given.",
    {
      time: { value: "SPAN", help: "1h, 1d12h, 30d or `forever`" },
      reason: { value: "TEXT", help: "people will ask" },
      scope: { value: "SCOPE", help: "fleet (default), tenant:NAME or host:TENANT/HOST" },
      port: { value: "PORT", help: "only this port; may be repeated", many: true },
      ...dryRun,
      ...yes,
    },
    [1, 1],
  ),
  async run(api, line, nowMs, terminal) {
    const time = line.text("time");
    const reason = line.text("reason");
    const net = line.positionals[0] ?? "";
    if (time === undefined || reason === undefined)
      throw new UsageError("fleet2ban ban: --time and --reason are needed; see --help");
    const scope = line.text("scope") ?? "fleet";
    if (isWide(net) && !line.on("dry-run")) await terminal.confirm(`Ban the whole network ${net} (${scope})?`);
    const ports = line.texts("port").map(Number);
    const request = {
      net,
      bantime: time === "forever" ? null : time,
      scope,
      ports: ports.length > 0 ? ports : null,
      reason,
      dryRun: line.on("dry-run"),
    };
    const made = await api.post("/bans", request, z.union([Ban, Approval]));
    if ("askedBy" in made) return { values: [made], text: waitsText(made) };
    return { values: [made], text: table(banHead, [banCells(made, nowMs)], "") };
  },
};

export const unban: Command = {
  help: help(
    "unban NET|ID …|--all --reason TEXT",
    "Lifts a ban everywhere it holds: on the coordinator, on every host, in every firewall.",
    {
      reason: {
        value: "TEXT",
        help: "`false-positive` also erases it from the ladder, and when none stands the ended ones (default: admin)",
      },
      all: { help: "every active ban, or those that the next options name" },
      scope: { value: "SCOPE", help: "with --all: only of this scope" },
      jail: { value: "JAIL", help: "with --all: only because of this jail" },
      because: { value: "TEXT", help: "with --all: only these: spread, votes, network, admin" },
      level: { value: "N", help: "with --all: only of this level" },
      inside: { value: "NET", help: "with --all: only inside this network" },
      ...dryRun,
      ...yes,
    },
    [0, netsMax],
  ),
  async run(api, line, _nowMs, terminal) {
    const [what] = line.positionals;
    const dryRun = line.on("dry-run");
    const query = { reason: line.text("reason") ?? "admin", dryRun };
    if (line.on("all") === (what !== undefined)) throw new UsageError("fleet2ban unban: say NET, ID or --all");
    if (what === undefined) {
      const level = line.text("level");
      const filter = {
        ...{ scope: line.text("scope"), jail: line.text("jail"), reason: line.text("because") },
        ...{ net: line.text("inside"), level: level === undefined ? undefined : Number(level) },
      };
      return await unbanAll(api, terminal, filter, query);
    }
    const receipts: z.infer<typeof Receipt>[] = [];
    for (const each of line.positionals) {
      const waiting = { ...query, wait: String(waitSeconds) };
      const path = isId(each) ? `/bans/${each}${queryOf(waiting)}` : `/bans${queryOf({ ...waiting, net: each })}`;
      receipts.push(await api.delete(path, Receipt));
    }
    return { values: receipts, text: receipts.map(dryRun ? dryReceiptText : receiptText).join("") };
  },
};

async function unbanAll(
  api: ApiClient,
  terminal: Terminal,
  filter: Readonly<Record<string, string | number | undefined>>,
  { reason, dryRun }: Readonly<{ reason: string; dryRun: boolean }>,
): Promise<Answer> {
  const asked = { filter, all: true, reason };
  const preview = await api.post("/bans/lift?dryRun=true", asked, Lift);
  const total = preview.remaining;
  if (total === 0) return { values: [], text: "no bans\n" };
  if (dryRun) return { values: [preview], text: `would lift ${bansText(total)} (${levelsText(preview.byLevel)})\n` };
  await terminal.confirm(`Lift ${bansText(total)} (${levelsText(preview.byLevel)})?`);
  const parts: z.infer<typeof Lift>[] = [];
  let lifted = 0;
  for (let remaining = total; remaining > 0; ) {
    terminal.progress(progressBar("lifting", lifted, total));
    const part = await api.post("/bans/lift", { ...asked, upTo: preview.upTo }, Lift);
    parts.push(part);
    lifted += part.lifted;
    remaining = part.remaining;
  }
  return { values: parts, text: `lifted ${bansText(lifted)}\n${arrivalText(parts)}` };
}

const bansText = (count: number) => (count === 1 ? "1 ban" : `${count} bans`);
const levelsText = (byLevel: Readonly<Record<string, number>>) =>
  Object.entries(byLevel)
    .map(([level, count]) => `${levelName(level)}: ${count}`)
    .join(", ");

/** By scope, how far the last orders have come. */
function arrivalText(parts: readonly z.infer<typeof Lift>[]): string {
  const latest = new Map(parts.flatMap((part) => part.scopes.map((each) => [each.scope, each] as const)));
  const shown = [...latest.values()].slice(0, scopesShown);
  const lines = shown.map(({ scope, applied, total }) => `${scope}: gone on ${applied}/${total} hosts so far\n`);
  return lines.join("") + (latest.size > shown.length ? `and ${latest.size - shown.length} more scopes\n` : "");
}

/** All pages of the active bans. */
export async function everyBan(
  api: ApiClient,
  filter: Readonly<Record<string, string | undefined>>,
): Promise<readonly z.infer<typeof Ban>[]> {
  const items = [];
  for (let cursor: string | undefined; ; ) {
    const page = await api.get(`/bans${queryOf({ ...filter, limit: String(pageRows), cursor })}`, pageOf(Ban));
    items.push(...page.items);
    if (page.next === null) return items;
    cursor = page.next;
  }
}

/** A network of more than one customer: an IPv6 /64 is one. */
export function isWide(net: string): boolean {
  const prefix = /\/(\d+)$/.exec(net)?.[1];
  return prefix !== undefined && Number(prefix) < (net.includes(":") ? 64 : 32);
}
