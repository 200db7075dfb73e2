import { z } from "zod";
import { UsageError } from "../../shared/command-line.ts";
import { Approval } from "../http/approvals.ts";
import { Explanation } from "../http/explain.ts";
import { pageOf, Rule } from "../http/schemas.ts";
import { waitsText } from "./approval-commands.ts";
import { banCells, banHead, shortNet } from "./ban-table.ts";
import { type Command, dryRun, help, queryOf, yes } from "./command.ts";
import { plain, remaining, table } from "./table.ts";

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
        ...dryRun,
        ...(kind === "never" ? yes : {}),
      },
      [0, 1],
    ),
    async run(api, line, _nowMs, terminal) {
      const remove = line.text("remove");
      const query = queryOf({ dryRun: line.on("dry-run") });
      if (remove !== undefined) {
        await api.delete(`/${kind}/${encodeURIComponent(remove)}${query}`, z.null());
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
      if (kind === "never" && !line.on("dry-run")) await terminal.confirm(`Never ban ${net} again, on any host?`);
      const request = { net, reason, tenant: line.text("tenant") ?? null, duration: line.text("time") ?? null };
      const rule = await api.post(`/${kind}${query}`, request, z.union([Rule, Approval]));
      if ("askedBy" in rule) return { values: [rule], text: waitsText(rule) };
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
    if (found.feeds.length > 0) {
      const rows = found.feeds.map((each) => [
        ...[each.feed, each.mode, shortNet(each.net), each.since, each.fetched ?? "never"],
        each.lifted === null ? "" : `${each.lifted} by ${each.liftedBy}`,
      ]);
      parts.push(table(["FEED", "MODE", "NET", "SINCE", "FETCHED", "LIFTED"], rows, ""));
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
    parts.push(`next: ${plain(found.nextLevel)}\n${homeText(found.home)}`);
    return { values: [found], text: parts.join("\n") };
  },
};

/** Where it is from and how old that knowledge is; what cannot be known says why. */
function homeText({ country, asn, organisation, sources }: z.infer<typeof Explanation>["home"]): string {
  const lines = sources.map(({ of, name, licence, dated, problem }) => {
    if (problem !== null) return `${of}: unknown; ${problem}`;
    const owner = asn === null ? "unknown" : `AS${asn} ${organisation ?? ""}`.trimEnd();
    const value = of === "country" ? (country ?? "unknown") : owner;
    return `${of}: ${value} (${[name, dated, licence].filter((each) => each !== null).join(", ")})`;
  });
  return lines.map((line) => `${plain(line)}\n`).join("");
}
