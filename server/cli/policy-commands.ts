import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { UsageError } from "../../shared/command-line.ts";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { Policy, PolicyVersion, Trial, TrialProgress } from "../http/policy.ts";
import { pageOf } from "../http/schemas.ts";
import { shortNet } from "./ban-table.ts";
import { type Command, help, isId, queryOf, yes } from "./command.ts";
import { table } from "./table.ts";
import { progressBar } from "./terminal.ts";

const verbs = ["show", "set", "dry-run", "revert", "versions"];

export const policy: Command = {
  words: verbs,
  help: help(
    "policy VERB [FILE|VERSION]",
    `All thresholds, as one document in numbered versions.
  show [VERSION]   the document; with --effective everything that holds, defaults included
  set FILE         puts a new version in force (YAML or JSON; - is standard input)
  dry-run FILE     what it would have done with the failures of the last days
  revert           puts the version before the one in force in force again
  versions         every version there was`,
    {
      effective: { help: "show: defaults included" },
      days: { value: "N", help: "dry-run: how many days back (default 7)" },
      version: { value: "N", help: "set, revert: only if this version is in force" },
      reason: { value: "TEXT", help: "why, for the audit log" },
      ...yes,
    },
    [1, 2],
  ),
  async run(api, line, _nowMs, terminal) {
    const [verb, what] = line.positionals;
    const reason = line.text("reason");
    const version = line.text("version");
    const upon = version === undefined ? {} : { ifMatch: version };
    if (verb === "versions") {
      const { items } = await api.get("/policy/versions?limit=1000", pageOf(PolicyVersion));
      const rows = items.map((each) => [String(each.version), each.created, each.by, each.current ? "in force" : ""]);
      return { values: items, text: table(["VERSION", "CREATED", "BY", ""], rows, "only the built-in policy") };
    }
    if (verb === "revert") {
      await terminal.confirm("Put the version before in force on the whole fleet?");
      const made = await api.send("POST", `/policy/revert${queryOf({ reason })}`, upon, Policy);
      return { values: [made], text: `version ${made.version} is in force\n` };
    }
    if (verb === "show") {
      if (what !== undefined && !isId(what)) throw new UsageError("fleet2ban policy show: a version is a number");
      const shown = await api.get(what === undefined ? "/policy" : `/policy/versions/${what}`, Policy);
      const empty = `# the built-in policy; see --effective\n`;
      return { values: [shown], text: line.on("effective") ? shown.effective : shown.document || empty };
    }
    if (what === undefined || (verb !== "set" && verb !== "dry-run")) {
      throw new UsageError(`fleet2ban policy: say ${verbs.join(", ")}; see --help`);
    }
    const text = { type: "application/yaml", content: await readDocument(what) };
    if (verb === "dry-run") {
      const path = `/policy/trial${queryOf({ days: line.text("days") })}`;
      const look = async () => {
        const { done, total } = (await api.get("/policy/trial", TrialProgress)) ?? { done: 0, total: 0 };
        return progressBar("judging", done, total);
      };
      const trial = await terminal.during(look, () => api.send("POST", path, { text, long: true }, Trial));
      return { values: [trial], text: trialText(trial) };
    }
    await terminal.confirm("Put this policy in force on the whole fleet?");
    const made = await api.send("PUT", `/policy${queryOf({ reason })}`, { text, ...upon }, Policy);
    return { values: [made], text: `version ${made.version} is in force\n` };
  },
};

async function readDocument(file: string): Promise<string> {
  try {
    return await readFile(file === "-" ? "/dev/stdin" : file, "utf8");
  } catch (cause) {
    throw new Fleet2banError("invalid", `${file}: cannot be read: ${messageOf(cause)}`, { cause });
  }
}

function trialText(trial: z.infer<typeof Trial>): string {
  const { adds, removes, changes } = trial;
  const rows = [
    ...adds.first.map((ban) => ["+", shortNet(ban.net), ban.scope, `level ${ban.level}`, ban.at, ban.reason]),
    ...removes.first.map((ban) => ["-", shortNet(ban.net), ban.scope, `level ${ban.level}`, ban.at, ban.reason]),
    ...changes.first.map(({ before, after }) => [
      ...["~", shortNet(after.net), after.scope, `level ${before.level} to ${after.level}`, after.at, after.reason],
    ]),
  ];
  const part = trial.truncated ? `, the newest of the last ${trial.days}d` : ` of the last ${trial.days}d`;
  const sum = `${trial.failures} failures${part}: ${trial.bansBefore} bans now, ${trial.bansAfter} with this policy`;
  const parts = `adds ${adds.count}, removes ${removes.count}, changes ${changes.count}`;
  return `${sum}\n${parts}\n${rows.length === 0 ? "" : table(["", "NET", "SCOPE", "LEVEL", "AT", "REASON"], rows, "")}`;
}
