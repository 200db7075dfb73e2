import { appendFileSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { controlPath } from "../../agent/control/control-path.ts";
import { askControl } from "../../agent/control/control-socket.ts";
import type { AgentStatus } from "../../agent/status.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import type { TestHost } from "./namespaces.ts";
import { type Program, runProgram, startProgram } from "./program.ts";
import { waitFor } from "./wait-for.ts";

const builtIn = fileURLToPath(new URL("../../agent/settings/built-in", import.meta.url));
const agentMain = "agent/main.ts";
const defaultJail = "[sshd]\nenabled = true\nbackend = polling\nlogpath = LOGFILE\nmaxretry = 50\n";
/** An agent that starts on a busy machine. */
const answerMs = 60_000;

/** One host: a folder with configuration, log and state, and the real agent on it. In a namespace or observing only. */
export type LiveHost = Readonly<{
  name: string;
  /** Its namespace; null without root. */
  place: TestHost | null;
  folder: string;
  /** agent.yaml */
  config: string;
  /** fail2ban's folder, with a jail.local of this host. */
  configDir: string;
  logFile: string;
  stateDir: string;
  agent(): Program;
  start(): void;
  append(...lines: readonly string[]): void;
  /** Of the running agent; waits until it answers. */
  status(): Promise<AgentStatus>;
  /** Runs another command of the agent with this host's configuration. */
  run(command: string, ...args: readonly string[]): ReturnType<typeof runProgram>;
}>;

export type LiveHostOptions = Readonly<{
  /** `jail.local` of every host, with `LOGFILE` in place of its log. */
  jailLocal?: string;
  /** More lines of agent.yaml. */
  agentYaml?: string;
}>;

/** Writes everything an agent needs; `start` starts it. Whoever calls ends the agent. */
export function makeLiveHost(
  name: string,
  place: TestHost | null,
  workDir: string,
  options: LiveHostOptions = {},
): LiveHost {
  const folder = join(workDir, name);
  const logFile = join(folder, "auth.log");
  const configDir = join(folder, "fail2ban");
  const config = join(folder, "agent.yaml");
  const stateDir = join(folder, "state");
  mkdirSync(folder);
  cpSync(builtIn, configDir, { recursive: true });
  writeFileSync(join(configDir, "jail.local"), (options.jailLocal ?? defaultJail).replaceAll("LOGFILE", logFile));
  writeFileSync(logFile, "");
  const lines = [
    `stateDir: ${stateDir}`,
    `credentials: ${join(folder, "credentials.json")}`,
    `configDir: ${configDir}`,
    `firewall: ${place === null ? "observe" : "nftables"}`,
    options.agentYaml ?? "",
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  const prefix = place?.prefix ?? [];
  let agent: Program | undefined;
  return {
    ...{ name, place, folder, config, configDir, logFile, stateDir },
    agent() {
      if (agent === undefined) throw new Error(`${name}: its agent was not started`);
      return agent;
    },
    start() {
      agent = startProgram(agentMain, ["run", "--config", config], { prefix, errorLog: join(folder, "agent.log") });
    },
    append: (...texts) => appendFileSync(logFile, texts.map((text) => `${text}\n`).join("")),
    status: () =>
      waitFor(
        async () => {
          // A unix socket belongs to no network: it is the same one from outside of the namespace.
          const ended = agent?.ending();
          if (ended !== undefined) throw new Error(`${name}: its agent has ended (${ended}):\n${agent?.stderr()}`);
          return await askControl(controlPath(stateDir), { verb: "status" }).then(
            (status) => status as AgentStatus,
            notYet,
          );
        },
        `${name}'s agent to answer`,
        answerMs,
      ),
    run: (command, ...args) => runProgram(agentMain, [command, ...args, "--config", config], { prefix }),
  };
}

/** Not yet, or not again: it is starting. */
function notYet(error: unknown): undefined {
  if (error instanceof Fleet2banError && error.code === "unavailable") return undefined;
  throw error;
}
