import type { CommandHelp } from "./command-line.ts";

/** A command's options, and the words that may follow it. */
export type Completed = Readonly<{ help: CommandHelp; words?: readonly string[] }>;

/**
 * A script for bash that completes the commands of one program, their options and their words.
 *
 * @param common  options that every command has
 * @param others  words that may stand in a command's place
 */
export function completionScript(
  program: string,
  commands: Readonly<Record<string, Completed>>,
  common: CommandHelp["options"] = {},
  others: readonly string[] = [],
): string {
  const cases = Object.entries(commands).map(([name, { help, words = [] }]) => {
    const options = Object.keys({ ...help.options, ...common, help: null }).map((option) => `--${option}`);
    return `    ${name}) words="${[...words, ...options].join(" ")}" ;;`;
  });
  const names = [...Object.keys(commands), ...others].join(" ");
  const named = `_${program.replaceAll("-", "_")}`;
  return `# bash completion for ${program}
${named}() {
  local words="" current="\${COMP_WORDS[COMP_CWORD]}"
  if [ "$COMP_CWORD" -eq 1 ]; then words="${names}"; else case "\${COMP_WORDS[1]}" in
    completion) words="bash" ;;
${cases.join("\n")}
  esac; fi
  COMPREPLY=( $(compgen -W "$words" -- "$current") )
}
complete -o default -F ${named} ${program}
`;
}
