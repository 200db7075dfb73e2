import { z } from "zod";
import { UsageError } from "../../shared/command-line.ts";
import { Explanation } from "../http/explain.ts";
import { Ban, pageOf, Receipt, Rule } from "../http/schemas.ts";
import { banCells, banHead, receiptText, shortNet } from "./ban-table.ts";
import { type Command, help, isId } from "./command.ts";
import { plain, remaining, table } from "./table.ts";

export const bans: Command = {
  help: help(
    "bans [NET]",
    "Active bans, newest first.",
    {
      all: { help: "ended ones too" },
      scope: { value: "SCOPE", help: "fleet, tenant:NAME or host:TENANT/HOST" },
      level: { value: "N", help: "only this level" },
      limit: { value: "N", help: "rows (default 100)" },
    },
    [0, 1],
  ),
  async run(api, line, nowMs) {
    const query = new URLSearchParams({
      limit: line.text("limit") ?? "100",
      active: line.on("all") ? "false" : "true",
    });
    for (const name of ["scope", "level"]) if (line.text(name) !== undefined) query.set(name, line.text(name) ?? "");
    if (line.positionals[0] !== undefined) query.set("net", line.positionals[0]);
    const page = await api.get(`/bans?${query}`, pageOf(Ban));
    return {
      values: page.items,
      text: table(
        banHead,
        page.items.map((ban) => banCells(ban, nowMs)),
        "no bans",
      ),
    };
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
      "dry-run": { help: "only say what would happen" },
    },
    [1, 1],
  ),
  async run(api, line, nowMs) {
    const time = line.text("time");
    const reason = line.text("reason");
    if (time === undefined || reason === undefined)
      throw new UsageError("fleet2ban ban: --time and --reason are needed; see --help");
    const ports = line.texts("port").map(Number);
    const request = {
      net: line.positionals[0],
      bantime: time === "forever" ? null : time,
      scope: line.text("scope") ?? "fleet",
      ports: ports.length > 0 ? ports : null,
      reason,
      dryRun: line.on("dry-run"),
    };
    const made = await api.post("/bans", request, Ban);
    return { values: [made], text: table(banHead, [banCells(made, nowMs)], "") };
  },
};

export const unban: Command = {
  help: help(
    "unban NET|ID --reason TEXT",
    "Lifts a ban everywhere it holds: on the coordinator, on every host, in every firewall.",
    { reason: { value: "TEXT", help: "`false-positive` also erases it from the ladder (default: admin)" } },
    [1, 1],
  ),
  async run(api, line) {
    const what = line.positionals[0] ?? "";
    const reason = encodeURIComponent(line.text("reason") ?? "admin");
    const path = isId(what)
      ? `/bans/${what}?reason=${reason}`
      : `/bans?net=${encodeURIComponent(what)}&reason=${reason}`;
    const receipt = await api.delete(path, Receipt);
    return { values: [receipt], text: receiptText(receipt) };
  },
};

export function ruleCommand(kind: "allow" | "never", about: string): Command {
  return {
    help: help(
      `${kind} [NET --reason TEXT | --remove ID]`,
      about,
      {
        reason: { value: "TEXT", help: "whose address this is and why" },
        tenant: { value: "NAME", help: "only for this tenant (default: the whole fleet)" },
        time: { value: "SPAN", help: "ends by itself after this" },
        remove: { value: "ID", help: "takes an entry off the list" },
      },
      [0, 1],
    ),
    async run(api, line) {
      const remove = line.text("remove");
      if (remove !== undefined) {
        await api.delete(`/${kind}/${encodeURIComponent(remove)}`, z.null());
        return { values: [{ removed: Number(remove) }], text: `removed ${remove} from the ${kind} list\n` };
      }
      const net = line.positionals[0];
      if (net === undefined) {
        const page = await api.get(`/${kind}?limit=1000`, pageOf(Rule));
        const rows = page.items.map((rule) => [
          String(rule.id),
          shortNet(rule.net),
          rule.tenant ?? "fleet",
          rule.until ?? "-",
          rule.by,
          rule.reason,
        ]);
        return {
          values: page.items,
          text: table(["ID", "NET", "FOR", "UNTIL", "BY", "REASON"], rows, `the ${kind} list is empty`),
        };
      }
      const reason = line.text("reason");
      if (reason === undefined) throw new UsageError(`fleet2ban ${kind}: --reason is needed; see --help`);
      const rule = await api.post(
        `/${kind}`,
        { net, reason, tenant: line.text("tenant") ?? null, duration: line.text("time") ?? null },
        Rule,
      );
      return { values: [rule], text: `${shortNet(rule.net)} is on the ${kind} list (${rule.id})\n` };
    },
  };
}

export const explain: Command = {
  help: help(
    "explain ADDRESS",
    "Why an address is or is not banned: every list, ban, level and the evidence.",
    {},
    [1, 1],
  ),
  async run(api, line, nowMs) {
    const found = await api.get(`/explain?ip=${encodeURIComponent(line.positionals[0] ?? "")}`, Explanation);
    const parts = [`${plain(found.summary)}\n`];
    if (found.bans.length > 0) {
      const rows = found.bans.map((each) => [
        ...banCells(each, nowMs),
        `${each.inForceOn.applied}/${each.inForceOn.total}`,
        each.mayBeLiftedBy,
      ]);
      parts.push(table([...banHead, "IN FORCE", "LIFTED BY"], rows, ""));
    }
    if (found.localBans.length > 0) {
      const rows = found.localBans.map((each) => [
        `${each.tenant}/${each.host}`,
        each.jail,
        shortNet(each.net),
        remaining(each.until, nowMs),
      ]);
      parts.push(table(["BANNED BY HOST", "JAIL", "NET", "LEFT"], rows, ""));
    }
    if (found.rules.length > 0) {
      const rows = found.rules.map((rule) => [rule.kind, shortNet(rule.net), rule.tenant ?? "fleet", rule.reason]);
      parts.push(table(["LIST", "NET", "FOR", "REASON"], rows, ""));
    }
    if (found.evidence.length > 0) {
      const rows = found.evidence.map((row) => [
        `${row.tenant}/${row.host}`,
        row.jail,
        String(row.failures),
        row.first,
        row.last,
      ]);
      parts.push(table(["EVIDENCE FROM", "JAIL", "FAILURES", "FIRST", "LAST"], rows, ""));
    }
    if (found.history.length > 0)
      parts.push(
        table(
          banHead,
          found.history.map((each) => banCells(each, nowMs)),
          "",
        ),
      );
    parts.push(`next: ${plain(found.nextLevel)}\n`);
    return { values: [found], text: parts.join("\n") };
  },
};
