import { type CommandHelp, UsageError } from "../../shared/command-line.ts";
import type { Command } from "./command.ts";

/** @throws UsageError for a shell we have no script for */
export function completionScript(
  shell: string | undefined,
  commands: Readonly<Record<string, Command>>,
  common: CommandHelp["options"],
): string {
  if (shell !== "bash")
    throw new UsageError('usage: fleet2ban completion bash; then: eval "$(fleet2ban completion bash)"');
  const names = [...Object.keys(commands), "replay", "completion", "help"].join(" ");
  const cases = Object.entries(commands).map(([name, { help, words = [] }]) => {
    const options = Object.keys({ ...help.options, ...common, help: null }).map((option) => `--${option}`);
    return `    ${name}) words="${[...words, ...options].join(" ")}" ;;`;
  });
  return `# bash completion for fleet2ban
_fleet2ban() {
  local words="" current="\${COMP_WORDS[COMP_CWORD]}"
  if [ "$COMP_CWORD" -eq 1 ]; then words="${names}"; else case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
    completion) words="bash" ;;
  esac; fi
  COMPREPLY=( $(compgen -W "$words" -- "$current") )
}
complete -o default -F _fleet2ban fleet2ban
`;
}
