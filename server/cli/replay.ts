import { once } from "node:events";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { parse } from "yaml";
import { type CommandHelp, formatHelp, parseCommandLine } from "../../shared/command-line.ts";
import { exitCodes, Fleet2banError, messageOf } from "../../shared/errors.ts";
import { createJudge } from "../domain/create-judge.ts";
import type { Judge, Weight } from "../domain/judge.ts";
import { type Policy, parsePolicy } from "../domain/policy.ts";
import { parseEvent } from "./replay-events.ts";
import { jsonLineOf, mistakeNote, quarantineNote, some, textLineOf } from "./replay-output.ts";

/** An event is a few hundred bytes; a longer line is not an event, and is not read into memory to find out. */
const lineLengthMax = 65_536;
/** Thousands of jails and reserved networks; more is not a policy. */
const policyBytesMax = 4 * 1024 * 1024;

const help: CommandHelp = {
  usage: "fleet2ban replay EVENTS [--policy FILE] [--json]",
  about: `What would this policy have done? Runs recorded events through the coordinator's decisions on their own clock;
no server is needed. EVENTS is a file of JSON lines in time order, or - for standard input:

  {"at":1700000000,"kind":"failure","tenant":"a","host":"h1","jail":"sshd","ip":"192.0.2.1","count":1}
  {"at":1700000000,"kind":"tenant","tenant":"a","trust":"vote","createdAt":1690000000}
  {"at":1700000000,"kind":"allow","net":"192.0.2.0/24","tenant":"a"}        no tenant = the fleet
  {"at":1700000000,"kind":"never","net":"192.0.2.7"}
  {"at":1700000000,"kind":"ban","net":"192.0.2.1","scope":"fleet","bantime":3600}
  {"at":1700000000,"kind":"unban","net":"192.0.2.1","scope":"tenant:a","reason":"false-positive"}
  {"at":1700000000,"kind":"release","net":"192.0.2.1","scope":"fleet"}      or "drop": what the brake holds
  {"at":1700000000,"kind":"quarantine","tenant":"a","host":"h1"}            no host = the tenant
  {"at":1700000000,"kind":"tick"}`,
  options: {
    policy: { value: "FILE", help: "YAML or JSON, complete or only what differs from the defaults" },
    json: { help: "one decision per line as JSON, for programs" },
  },
  positionals: [1, 1],
};

type Streams = Readonly<{
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WritableStream;
  stdin: NodeJS.ReadableStream;
}>;

/**
 * `fleet2ban replay`: prints what the judge decides, as it decides.
 *
 * @returns the exit code
 * @throws UsageError, and Fleet2banError `invalid` naming file, line, field and remedy, or `not_found`
 */
export async function replayCommand(argv: readonly string[], io: Streams): Promise<number> {
  const line = parseCommandLine(argv, help);
  if (line.help) {
    io.stdout.write(formatHelp(help));
    return exitCodes.ok;
  }
  const file = line.positionals[0] ?? "-";
  const policy = await readPolicy(line.text("policy"));
  const place = file === "-" ? "standard input" : file;
  const input = file === "-" ? io.stdin : createReadStream(file);
  await replay(createJudge(policy), input, place, line.on("json"), io);
  return exitCodes.ok;
}

async function replay(judge: Judge, input: NodeJS.ReadableStream, place: string, json: boolean, io: Streams) {
  const counts = new Map<string, number>();
  const note = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1);
  let lineNumber = 0;
  let output = "";
  try {
    for await (const lines of linesOf(input, place)) {
      for (const text of lines) {
        lineNumber += 1;
        if (text.trim() === "") continue;
        const { atMs, fact } = parseEvent(text, `${place}: line ${lineNumber}`);
        const { decisions, weight } = judge.apply(fact, atMs);
        note("event");
        if (weight !== null) note(fateOf(weight));
        for (const decision of decisions) {
          note(decision.kind);
          if (decision.kind === "quarantine") io.stderr.write(quarantineNote(decision));
          else if (decision.kind === "mistake") io.stderr.write(mistakeNote(decision));
          else output += json ? jsonLineOf(decision) : textLineOf(decision);
        }
      }
      if (output !== "" && !io.stdout.write(output)) await once(io.stdout, "drain");
      output = "";
    }
  } finally {
    // What was decided before a broken line is still true.
    if (output !== "") io.stdout.write(output);
  }
  if (!json) io.stdout.write(summaryOf(counts));
}

type Fate = "failure counted" | "failure kept as evidence only" | "failure dropped";
function fateOf(weight: Weight): Fate {
  if (weight === "fleet" || weight === "tenant") return "failure counted";
  const dropped = weight === "invalid" || weight === "reserved" || weight === "never";
  return dropped ? "failure dropped" : "failure kept as evidence only";
}

function summaryOf(counts: ReadonlyMap<string, number>): string {
  const count = (what: string) => counts.get(what) ?? 0;
  const failures: readonly Fate[] = ["failure counted", "failure kept as evidence only", "failure dropped"];
  const parts = [
    ...failures.map((fate) => fate.replace("failure", some(count(fate), "failure"))),
    some(count("ban"), "ban"),
    some(count("unban"), "unban"),
    `${count("held")} held`,
    `${count("refused")} refused`,
  ];
  return `${some(count("event"), "event")}: ${parts.join(", ")}\n`;
}

/** The input's lines, as many at a time as came at once. */
async function* linesOf(input: NodeJS.ReadableStream, place: string): AsyncGenerator<readonly string[]> {
  input.setEncoding("utf8");
  let rest = "";
  try {
    for await (const chunk of input) {
      const lines = (rest + String(chunk)).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > lineLengthMax) {
        throw new Fleet2banError(
          "invalid",
          `${place}: a line is longer than ${lineLengthMax} characters; write one event per line`,
        );
      }
      yield lines;
    }
  } catch (cause) {
    if (cause instanceof Fleet2banError) throw cause;
    throw new Fleet2banError(
      "not_found",
      `${place}: cannot be read (${messageOf(cause)}); name a file of JSON lines, or -`,
      {
        cause,
      },
    );
  }
  if (rest !== "") yield [rest];
}

async function readPolicy(file: string | undefined): Promise<Policy> {
  if (file === undefined) return parsePolicy(undefined, "policy");
  let text: string;
  try {
    if ((await stat(file)).size > policyBytesMax) {
      throw new Fleet2banError("invalid", `${file}: larger than ${policyBytesMax} bytes; this is not a policy`);
    }
    text = await readFile(file, "utf8");
  } catch (cause) {
    if (cause instanceof Fleet2banError) throw cause;
    throw new Fleet2banError("invalid", `${file}: cannot be read (${messageOf(cause)}); name a YAML or JSON file`, {
      cause,
    });
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new Fleet2banError("invalid", `${file}: not YAML or JSON: ${messageOf(cause).split("\n")[0]}`, { cause });
  }
  return parsePolicy(value, file);
}
