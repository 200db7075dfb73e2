import { once } from "node:events";
import { type CommandHelp, formatHelp, parseCommandLine, reportFatal } from "../../shared/command-line.ts";
import { exitCodeOf, exitCodes } from "../../shared/errors.ts";
import { openLiveFleet } from "../../test/support/live-fleet.ts";
import { namespacesMissing } from "../../test/support/namespaces.ts";
import { tellStory } from "./story.ts";

const help: CommandHelp = {
  usage: "npm run demo -- [options]",
  about:
    "The main job on one machine, real parts only: a coordinator with its PostgreSQL and nats-server, three hosts and an\n" +
    "attacker as network namespaces, an agent and nftables on each host. Nothing is simulated but the log lines. Without\n" +
    "root the agents only observe. Everything is made in a temporary folder and in namespaces, and removed at the end.",
  options: {
    once: { help: "end after the story, with one line of JSON" },
    port: { value: "PORT", help: "the dashboard's port on 127.0.0.1 (default 8080, or any when it is taken)" },
  },
};
const hostCount = 3;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportFatal("demo", error, exitCodeOf);
}

async function main(args: readonly string[]): Promise<number> {
  const line = parseCommandLine(args, help);
  if (line.help) {
    process.stdout.write(formatHelp(help));
    return exitCodes.ok;
  }
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());
  const missing = namespacesMissing("nft");
  const say = (text: string) => process.stdout.write(`${text}\n`);
  if (missing !== false) say(`note: ${missing}, so the three agents only observe: no packet is stopped in this demo`);
  say("starting a coordinator (PostgreSQL, nats-server, API) and three hosts, each with its own agent …");
  const httpPort = line.on("once") ? 0 : Number(line.text("port") ?? 8080);
  await using fleet = await openLiveFleet({ hosts: hostCount, namespaces: missing === false, httpPort });
  const result = await tellStory(fleet, say);
  if (!line.on("once")) {
    say(`\nthe fleet stays up: dashboard ${fleet.url}, log in with ${fleet.token}`);
    say("for the command line: export FLEET2BAN_SERVER and FLEET2BAN_TOKEN:");
    say(`  export FLEET2BAN_SERVER=${fleet.url} FLEET2BAN_TOKEN=${fleet.token}`);
    say("  npm run -s fleet2ban -- bans");
    say("Ctrl-C ends it and removes everything");
    if (!stop.signal.aborted) await once(stop.signal, "abort");
  }
  say(JSON.stringify(result));
  return result.ok ? exitCodes.ok : exitCodes.other;
}
