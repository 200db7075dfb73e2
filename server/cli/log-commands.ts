import { UsageError } from "../../shared/command-line.ts";
import { AuditCheck, AuditEntry, AuditReach } from "../http/audit.ts";
import { Held } from "../http/held.ts";
import { Failure, Incident } from "../http/logs.ts";
import { pageOf } from "../http/schemas.ts";
import { shortNet } from "./ban-table.ts";
import { type Command, dryRun, help, isId, moreOf, paging, queryOf } from "./command.ts";
import { table } from "./table.ts";

export const audit: Command = {
  words: ["verify", "reach"],
  help: help(
    "audit [verify | reach ENTRY]",
    "Who did what and why, newest first. verify: recomputes the hash chain and names the first entry somebody touched. reach: which hosts an act has reached.",
    {
      action: { value: "TEXT", help: "only these: ban, unban, set policy …" },
      actor: { value: "NAME", help: "only by this token's name" },
      target: { value: "TEXT", help: "only on this net, host or tenant" },
      ...paging,
    },
    [0, 2],
  ),
  async run(api, line, _nowMs, terminal) {
    const [verb, entry] = line.positionals;
    if (verb === "reach" && entry !== undefined && isId(entry)) {
      const reach = await api.get(`/audit/${entry}/reach`, AuditReach);
      const rows = reach.scopes.map(({ scope, applied, total, waiting }) => [
        ...[scope, `${applied}/${total}`, waiting.join(", ")],
      ]);
      const none = "it ordered nothing to hosts, or its orders are forgotten by now";
      return { values: [reach], text: table(["SCOPE", "CARRIED OUT ON", "WAITING FOR"], rows, none) };
    }
    if (verb === "verify") {
      terminal.progress("recomputing the chain …");
      const check = await api.send("GET", "/audit/verify", { long: true }, AuditCheck);
      const text =
        check.brokenAt === null
          ? `sound: ${check.entries} entries\n`
          : `BROKEN at entry ${check.brokenAt}: it was changed, or one before it removed; ${check.entries} before it are sound\n`;
      return { values: [check], text, isBad: check.brokenAt !== null };
    }
    if (verb !== undefined) throw new UsageError(`fleet2ban audit: there is no "${verb}"; see --help`);
    const names = ["action", "actor", "target", "limit", "cursor"];
    const given = Object.fromEntries(names.map((name) => [name, line.text(name)]));
    const page = await api.get(`/audit${queryOf(given)}`, pageOf(AuditEntry));
    const rows = page.items.map((entry) => [
      ...[String(entry.sequence), entry.at, entry.actor, entry.action, entry.target],
      typeof entry.detail.note === "string" ? entry.detail.note : "",
    ]);
    return {
      values: page.items,
      text: table(["ENTRY", "AT", "WHO", "WHAT", "ON", "WHY"], rows, "nothing yet") + moreOf(page.next),
    };
  },
};

export const held: Command = {
  words: ["release", "drop"],
  help: help(
    "held [release|drop ID]",
    "Bans the brake holds until somebody decides. release: made now; drop: forgotten.",
    { reason: { value: "TEXT", help: "why, for the audit log" }, ...paging, ...dryRun },
    [0, 2],
  ),
  async run(api, line) {
    const [verb, id] = line.positionals;
    if (verb === undefined) {
      const page = await api.get(
        `/held${queryOf({ limit: line.text("limit"), cursor: line.text("cursor") })}`,
        pageOf(Held),
      );
      const rows = page.items.map((each) => [
        ...[String(each.id), shortNet(each.net), each.scope, each.at, each.reason],
        `${each.evidence.failures} on ${each.evidence.hosts} hosts`,
      ]);
      const head = ["ID", "NET", "SCOPE", "SINCE", "REASON", "FAILURES"];
      return { values: page.items, text: table(head, rows, "nothing is held") + moreOf(page.next) };
    }
    if ((verb !== "release" && verb !== "drop") || id === undefined || !isId(id)) {
      throw new UsageError("usage: fleet2ban held [release|drop ID]");
    }
    const query = queryOf({ reason: line.text("reason"), dryRun: line.on("dry-run") });
    const decided = await api.post(`/held/${id}/${verb}${query}`, undefined, Held);
    return { values: [decided], text: `${verb === "release" ? "banned" : "forgot"} ${shortNet(decided.net)}\n` };
  },
};

export const failures: Command = {
  help: help(
    "failures [NET]",
    "Hostile log lines as hosts reported them, newest first.",
    {
      tenant: { value: "NAME", help: "only this tenant's" },
      host: { value: "NAME", help: "only this host's" },
      jail: { value: "JAIL", help: "only of this jail" },
      within: { value: "SPAN", help: "arrived within this span (default 1h)" },
      ...paging,
    },
    [0, 1],
  ),
  async run(api, line) {
    const names = ["tenant", "host", "jail", "within", "limit", "cursor"];
    const given = Object.fromEntries(names.map((name) => [name, line.text(name)]));
    const page = await api.get(`/failures${queryOf({ ...given, net: line.positionals[0] })}`, pageOf(Failure));
    const rows = page.items.map((each) => [
      ...[each.at, each.address, each.jail, `${each.tenant}/${each.host}`, String(each.count), each.weight],
      each.sample ?? "",
    ]);
    const head = ["AT", "ADDRESS", "JAIL", "HOST", "LINES", "COUNTED AS", "LINE"];
    return { values: page.items, text: table(head, rows, "no failures") + moreOf(page.next) };
  },
};

export const incidents: Command = {
  help: help("incidents", "Windows that were full, and what came of them, newest first.", paging, [0, 0]),
  async run(api, line) {
    const query = queryOf({ limit: line.text("limit"), cursor: line.text("cursor") });
    const page = await api.get(`/incidents${query}`, pageOf(Incident));
    const rows = page.items.map((each) => [
      ...[each.at, each.outcome, shortNet(each.net), each.scope, each.reason],
      each.why ?? (each.level === null ? "" : `level ${each.level}`),
    ]);
    const head = ["AT", "OUTCOME", "NET", "SCOPE", "REASON", ""];
    return { values: page.items, text: table(head, rows, "no incidents") + moreOf(page.next) };
  },
};

export const exported: Command = {
  words: ["csv", "txt", "jsonl"],
  help: help(
    "export csv|txt|jsonl",
    "Every standing ban to standard output: a table for spreadsheets, plain networks, or one JSON object a line.",
    {
      scope: { value: "SCOPE", help: "only this scope" },
      "min-level": { value: "N", help: "only this level and above" },
    },
    [1, 1],
  ),
  async run(api, line) {
    const [form = ""] = line.positionals;
    if (!["csv", "txt", "jsonl"].includes(form)) throw new UsageError("usage: fleet2ban export csv|txt|jsonl");
    const query = queryOf({ scope: line.text("scope"), minLevel: line.text("min-level") });
    return { values: [], text: "", file: await api.download(`/exports/bans.${form}${query}`) };
  },
};
