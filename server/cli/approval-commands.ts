import type { z } from "zod";
import { UsageError } from "../../shared/command-line.ts";
import { Approval } from "../http/approvals.ts";
import { pageOf } from "../http/schemas.ts";
import { shortNet } from "./ban-table.ts";
import { type Command, dryRun, help, isId, moreOf, paging, queryOf } from "./command.ts";
import { plain, table } from "./table.ts";

/** What is said instead of "done" when a second admin must agree. */
export function waitsText({ id, kind, net, why }: z.infer<typeof Approval>): string {
  const asked =
    id === 0 ? "would wait for a second admin" : `waits for a second admin: fleet2ban approvals approve ${id}`;
  return `NOT DONE YET: ${plain(why)}\nthe ${kind} of ${shortNet(net)} ${asked}\n`;
}

export const approvals: Command = {
  words: ["approve", "reject"],
  help: help(
    "approvals [approve|reject ID]",
    "Bans and allows too wide for one admin. approve: done now, by another one than who asked; reject: nothing is done.",
    {
      all: { help: "decided ones too" },
      reason: { value: "TEXT", help: "why, for the audit log" },
      ...paging,
      ...dryRun,
    },
    [0, 2],
  ),
  async run(api, line) {
    const [verb, id] = line.positionals;
    if (verb === undefined) {
      const given = {
        limit: line.text("limit"),
        cursor: line.text("cursor"),
        waiting: line.on("all") ? "false" : "true",
      };
      const page = await api.get(`/approvals${queryOf(given)}`, pageOf(Approval));
      const rows = page.items.map((each) => [
        ...[String(each.id), each.kind, shortNet(each.net), each.scope, each.duration ?? "for ever", each.askedBy],
        ...[each.asked, each.decidedBy === null ? each.state : `${each.state} by ${each.decidedBy}`, each.reason],
      ]);
      const head = ["ID", "WANTED", "NET", "SCOPE", "FOR", "ASKED BY", "AT", "STATE", "WHY"];
      return { values: page.items, text: table(head, rows, "nothing waits") + moreOf(page.next) };
    }
    if ((verb !== "approve" && verb !== "reject") || id === undefined || !isId(id)) {
      throw new UsageError("usage: fleet2ban approvals [approve|reject ID]");
    }
    const query = queryOf({ reason: line.text("reason"), dryRun: line.on("dry-run") });
    const decided = await api.post(`/approvals/${id}/${verb}${query}`, undefined, Approval);
    const done = decided.kind === "ban" ? "banned" : "allowed";
    return { values: [decided], text: `${verb === "approve" ? done : "rejected"} ${shortNet(decided.net)}\n` };
  },
};
