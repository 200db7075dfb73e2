import { parse, parseDocument } from "yaml";
import { z } from "zod";
import { UsageError } from "../../shared/command-line.ts";
import { Approval } from "../http/approvals.ts";
import { Failure } from "../http/logs.ts";
import { Policy } from "../http/policy.ts";
import { Ban, pageOf, Receipt, Rule } from "../http/schemas.ts";
import type { ApiClient } from "./api-client.ts";
import { waitsText } from "./approval-commands.ts";
import { everyBan } from "./ban-commands.ts";
import { banCells, banHead, receiptText, shortNet } from "./ban-table.ts";
import { type Answer, type Command, help, queryOf } from "./command.ts";
import { plain, table } from "./table.ts";

/** The policy as far as a jail's words reach. */
const Effective = z.looseObject({
  jails: z.record(
    z.string(),
    z.looseObject({ findtime: z.unknown(), maxretry: z.unknown(), ports: z.unknown() }).partial(),
  ),
  ladder: z.array(z.looseObject({ bantime: z.union([z.string(), z.number()]) })).min(1),
});
const settings = ["findtime", "maxretry", "ports"] as const;
type Setting = (typeof settings)[number];
const isSetting = (word: string): word is Setting => (settings as readonly string[]).includes(word);

/** What fail2ban-client prints for `status JAIL`, of the whole fleet. */
export async function jailStatus(api: ApiClient, jail: string): Promise<Answer> {
  const query = queryOf({ jail, limit: "1000" });
  const { items: failures } = await api.get(`/failures${query}`, pageOf(Failure));
  const bans = await everyBan(api, { jail });
  const failed = failures.reduce((sum, failure) => sum + failure.count, 0);
  const nets = bans.map((ban) => shortNet(ban.net));
  const hosts = new Set(failures.map((failure) => `${failure.tenant}/${failure.host}`));
  const value = { jail, failures: failed, hosts: hosts.size, banned: nets };
  const text = `Status for the jail: ${plain(jail)}
|- Filter
|  |- Failed in the last hour: ${failed}${failures.length === 1000 ? " or more" : ""}
|  \`- On hosts:                ${hosts.size}
\`- Actions
   |- Currently banned:        ${nets.length}
   \`- Banned IP list:          ${nets.join(" ")}
`;
  return { values: [value], text };
}

export const get: Command = {
  words: [...settings, "bantime", "banip", "ignoreip"],
  help: help(
    "get JAIL findtime|maxretry|ports|bantime|banip|ignoreip",
    "A jail's setting as the fleet's policy has it, what it bans, or what is allowed: the words of fail2ban-client.",
    {},
    [2, 2],
  ),
  async run(api, line) {
    const [jail = "", word = ""] = line.positionals;
    if (word === "banip") {
      const nets = (await everyBan(api, { jail })).map((ban) => shortNet(ban.net));
      return { values: nets, text: nets.map((net) => `${net}\n`).join("") };
    }
    if (word === "ignoreip") {
      const { items } = await api.get("/allow?limit=1000", pageOf(Rule));
      return { values: items, text: items.map((rule) => `${shortNet(rule.net)}\n`).join("") };
    }
    const effective = Effective.parse(parse((await api.get("/policy", Policy)).effective));
    if (word === "bantime") {
      const times = effective.ladder.map((rung) => rung.bantime);
      return { values: [times], text: `${times.join(" ")}\n` };
    }
    if (!isSetting(word))
      throw new UsageError("usage: fleet2ban get JAIL findtime|maxretry|ports|bantime|banip|ignoreip");
    const value = effective.jails[jail]?.[word] ?? effective.jails.default?.[word] ?? null;
    return { values: [value], text: `${value === null ? "all" : String(value)}\n` };
  },
};

export const set: Command = {
  words: ["banip", "unbanip", "addignoreip", "delignoreip", "findtime", "maxretry"],
  help: help(
    "set JAIL banip|unbanip|addignoreip|delignoreip|findtime|maxretry VALUE",
    "The words of fail2ban-client, for the whole fleet. `set JAIL findtime` and `maxretry` write a new version of the policy.",
    {
      reason: { value: "TEXT", help: "why (default: what was done)" },
      time: { value: "SPAN", help: "banip: for this long (default: the policy's first level)" },
    },
    [3, 3],
  ),
  async run(api, line, nowMs) {
    const [jail = "", word = "", value = ""] = line.positionals;
    const reason = line.text("reason") ?? `set ${jail} ${word}`;
    if (word === "unbanip") {
      const receipt = await api.delete(`/bans${queryOf({ net: value, reason })}`, Receipt);
      return { values: [receipt], text: receiptText(receipt) };
    }
    if (word === "addignoreip") {
      const rule = await api.post("/allow", { net: value, reason }, z.union([Rule, Approval]));
      if ("askedBy" in rule) return { values: [rule], text: waitsText(rule) };
      return { values: [rule], text: `${shortNet(rule.net)} is on the allow list (${rule.id})\n` };
    }
    if (word === "delignoreip") return await removeAllow(api, value);
    const policy = await api.get("/policy", Policy);
    const effective = Effective.parse(parse(policy.effective));
    if (word === "banip") {
      const bantime = line.text("time") ?? String(effective.ladder[0]?.bantime ?? "1h");
      const ports = z
        .array(z.int())
        .nullable()
        .catch(null)
        .parse(effective.jails[jail]?.ports ?? null);
      const made = await api.post("/bans", { net: value, bantime, ports, reason }, z.union([Ban, Approval]));
      if ("askedBy" in made) return { values: [made], text: waitsText(made) };
      return { values: [made], text: table(banHead, [banCells(made, nowMs)], "") };
    }
    if (word !== "findtime" && word !== "maxretry")
      throw new UsageError(`fleet2ban set: there is no "${word}"; see --help`);
    const document = parseDocument(policy.document);
    document.setIn(["jails", jail, word], word === "maxretry" ? Number(value) : value);
    const text = { type: "application/yaml", content: document.toString() };
    const carried = { text, ifMatch: policy.etag };
    const made = await api.send("PUT", `/policy${queryOf({ reason })}`, carried, Policy);
    return { values: [made], text: `${value}\n` };
  },
};

async function removeAllow(api: ApiClient, net: string): Promise<Answer> {
  const { items } = await api.get("/allow?limit=1000", pageOf(Rule));
  const rule = items.find((each) => shortNet(each.net) === net || each.net === net);
  if (rule === undefined) throw new UsageError(`fleet2ban set: ${net} is not on the allow list`);
  await api.delete(`/allow/${rule.id}`, z.null());
  return { values: [{ removed: rule.id }], text: `removed ${rule.id} from the allow list\n` };
}
