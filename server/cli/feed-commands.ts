import { z } from "zod";
import { UsageError } from "../../shared/command-line.ts";
import { Feed, FeedWithLifted } from "../http/feeds.ts";
import { shortNet } from "./ban-table.ts";
import { type Command, dryRun, help, queryOf, yes } from "./command.ts";
import { plain, table } from "./table.ts";

const modes: Readonly<Record<string, string>> = { enforce: "enforce", observe: "observe", off: "off" };
const verbs = ["show", "add", "enforce", "observe", "off", "refresh", "restore", "remove"];
const usage = `usage: fleet2ban feeds [${verbs.join("|")}] NAME …; see --help`;
/** Of each kind of what was left out. */
const examplesShown = 5;

export const feeds: Command = {
  words: verbs,
  help: help(
    "feeds [VERB] [NAME] [SOURCE|NET]",
    `Lists of others. Without arguments: all of them and how they stand.
  show NAME             what it lists, what is left out and what was lifted of it
  add NAME SOURCE       fetches https://… (or file:NAME of the data directory's feeds folder); bans nobody yet
  enforce NAME          bans what it lists
  observe NAME          lifts that again and goes on fetching
  off NAME              lifts that and fetches no more
  refresh NAME          fetches it now
  restore NAME NET      lets it ban again what somebody lifted of it
  remove NAME           lifts what it banned and forgets it`,
    {
      note: { value: "TEXT", help: "add, needed: whose list it is, its licence, why you take it" },
      every: { value: "SPAN", help: "add: how often it is fetched (default 1d)" },
      ttl: { value: "SPAN", help: "add: without a good list for so long its bans end (default 7d)" },
      entries: { value: "N", help: "add: entries it may have (default 50000)" },
      "accept-size": { help: "refresh: takes it although it has grown or shrunk by more than 30 %" },
      reason: { value: "TEXT", help: "why, for the audit log" },
      ...dryRun,
      ...yes,
    },
    [0, 3],
  ),
  async run(api, line, _nowMs, terminal) {
    const [verb, name, what] = line.positionals;
    const query = queryOf({ dryRun: line.on("dry-run"), reason: line.text("reason") });
    if (verb === undefined) {
      const { items } = await api.get("/feeds", z.object({ items: z.array(Feed) }));
      return { values: items, text: table(head, items.map(cells), "no feeds; see fleet2ban feeds --help") };
    }
    if (name === undefined) throw new UsageError(usage);
    const path = `/feeds/${encodeURIComponent(name)}`;
    const mode = modes[verb];
    if (mode !== undefined) {
      if (mode === "enforce" && !line.on("dry-run")) await terminal.confirm(`Ban what ${name} lists, on every host?`);
      const changed = await api.send("PATCH", `${path}${query}`, { body: { mode } }, Feed);
      return { values: [changed], text: feedText(changed) };
    }
    if (verb === "show") {
      const shown = await api.get(path, FeedWithLifted);
      return { values: [shown], text: `${feedText(shown)}${detailsText(shown)}` };
    }
    if (verb === "add" && what !== undefined) {
      const note = line.text("note");
      if (note === undefined) throw new UsageError("fleet2ban feeds add: --note is needed; see --help");
      const entries = line.text("entries");
      const optional = {
        ...{ every: line.text("every"), ttl: line.text("ttl") },
        entriesMax: entries === undefined ? undefined : Number(entries),
      };
      const request = { name, source: what, note, ...optional };
      const made = await api.send("POST", `/feeds${query}`, { body: request, long: true }, Feed);
      return { values: [made], text: `${feedText(made)}look at it, then: fleet2ban feeds enforce ${plain(name)}\n` };
    }
    if (verb === "refresh") {
      const acceptSize = line.on("accept-size");
      const given = { dryRun: line.on("dry-run"), reason: line.text("reason"), acceptSize };
      const fetched = await api.send("POST", `${path}/refresh${queryOf(given)}`, { long: true }, Feed);
      return { values: [fetched], text: feedText(fetched), isBad: fetched.problem !== null };
    }
    if (verb === "restore" && what !== undefined) {
      const given = { net: what, dryRun: line.on("dry-run"), reason: line.text("reason") };
      await api.delete(`${path}/lifted${queryOf(given)}`, z.null());
      return { values: [{ restored: what, feed: name }], text: `${plain(name)} may ban ${plain(what)} again\n` };
    }
    if (verb === "remove") {
      if (!line.on("dry-run")) await terminal.confirm(`Remove the feed ${name} and lift what it banned?`);
      await api.delete(`${path}${query}`, z.null());
      return { values: [{ removed: name }], text: `${plain(name)} is going; what it banned is being lifted\n` };
    }
    throw new UsageError(usage);
  },
};

type FeedRow = z.infer<typeof Feed>;

const head = ["NAME", "MODE", "ENTRIES", "BANNED", "LEFT OUT", "LAST GOOD", "STATE", "SOURCE"];

function cells(feed: FeedRow): string[] {
  const { name, mode, entries, banned, report, good, source } = feed;
  const leftOut = Object.values(report?.leftOut ?? {}).reduce((sum, count) => sum + count, 0);
  return [name, mode, String(entries), String(banned), String(leftOut), good ?? "never", stateOf(feed), source];
}

function stateOf({ removing, problem, mode, inForce }: FeedRow): string {
  if (removing) return "being removed";
  if (problem !== null) return mode === "enforce" && !inForce ? `NOT IN FORCE: ${problem}` : problem;
  return "ok";
}

function feedText(feed: FeedRow): string {
  return table(head, [cells(feed)], "");
}

function detailsText({ report, lifted, every, ttl, entriesMax, note, due }: z.infer<typeof FeedWithLifted>): string {
  const lines = [
    `every ${every}, next ${due}; ends without a good list for ${ttl}; at most ${entriesMax} entries`,
    `note: ${note}`,
    ...(report === null ? [] : [`names ${report.listed} networks, ${report.badLines} bad lines`]),
    ...Object.entries(report?.leftOut ?? {}).flatMap(([why, count]) => {
      if (count === 0) return [];
      const examples = (report?.examples[why] ?? []).slice(0, examplesShown).join(", ");
      return [
        `left out, ${why}: ${count}${examples === "" ? "" : ` (${examples}${count > examplesShown ? " …" : ""})`}`,
      ];
    }),
    ...lifted.map((each) => `lifted by ${each.by} at ${each.at}: ${shortNet(each.net)} ${each.note ?? ""}`.trimEnd()),
  ];
  return lines.map((line) => `${plain(line)}\n`).join("");
}
