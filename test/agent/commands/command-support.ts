import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeFiles } from "../../support/fail2ban-server.ts";
import { runProgram } from "../../support/program.ts";

/** A folder with an agent.yaml that touches nothing outside of it, and a configuration of the given files. */
export type AgentFolder = Disposable &
  Readonly<{
    folder: string;
    config: string;
    stateDir: string;
    /** Writes below the folder; returns the path. */
    write(name: string, text: string): string;
    run(...args: string[]): ReturnType<typeof runProgram>;
    /** Standard output as one JSON value per line. */
    json(...args: string[]): Promise<unknown[]>;
  }>;

export function openAgentFolder(files: Readonly<Record<string, string>> = {}, yaml = ""): AgentFolder {
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-command-"));
  const config = join(folder, "agent.yaml");
  const stateDir = join(folder, "state");
  const lines = [
    `stateDir: ${stateDir}`,
    `credentials: ${folder}/credentials`,
    `configDir: ${folder}/fail2ban`,
    `overlayDir: ${folder}/overlay`,
    "firewall: observe",
    yaml,
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  writeFiles(join(folder, "fail2ban"), { "jail.conf": "[DEFAULT]\n", ...files });
  const run = (...args: string[]) => runProgram("agent/main.ts", [...args, "--config", config], { env: { TZ: "UTC" } });
  return {
    ...{ folder, config, stateDir, run },
    write(name, text) {
      writeFiles(folder, { [name]: text });
      return join(folder, name);
    },
    async json(...args) {
      const { code, stdout, stderr } = await run(...args, "--json");
      if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}: ${stderr}`);
      return stdout
        .trim()
        .split("\n")
        .map((line): unknown => JSON.parse(line));
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}
