import { UsageError } from "../../shared/command-line.ts";
import { type Completed, completionScript } from "../../shared/completion.ts";
import { exitCodes } from "../../shared/errors.ts";
import type { AgentCommand } from "./command.ts";

/** @param load  every command of the program, by name */
export function completionCommand(load: () => Promise<Readonly<Record<string, Completed>>>): AgentCommand {
  const usage = "fleet2ban-agent completion bash";
  return {
    help: {
      usage,
      about: `The shell's completion, for who does not use the package: eval "$(${usage})"`,
      options: {},
      positionals: [1, 1],
    },
    async run(line) {
      if (line.positionals[0] !== "bash") throw new UsageError(`usage: ${usage}; there is none for other shells`);
      process.stdout.write(completionScript("fleet2ban-agent", await load(), {}, ["help"]));
      return exitCodes.ok;
    },
  };
}
