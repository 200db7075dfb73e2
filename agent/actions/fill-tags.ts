import { Fleet2banError } from "../../shared/errors.ts";

/** `inet4` and `inet6` choose conditional options (`[Init?family=inet6]`); "" = the ban names no address. */
export type Family = "inet4" | "inet6" | "";

/** A shell command and the variables it refers to. */
export type ShellCommand = Readonly<{ text: string; variables: Readonly<Record<string, string>> }>;

const tag = /<([^ <>]+)>/g;
const capturedTag = /<F-([A-Z0-9_-]+)>/g;
/** These hold text from the log: never replaced before the ban is known, even if an option has such a name. */
const dynamicOnly = new Set(["matches", "ipmatches", "ipjailmatches", "bantime"]);
const everywhere = new Map([
  ["br", "\n"],
  ["sp", " "],
]);
/** As in the configuration's own substitution: more rounds mean that options refer to each other in a circle. */
const roundsMax = 25;
/**
 * What is pasted into a command as it is; every other value reaches the shell as a variable. Letters and digits of any
 * script and signs that mean nothing to a shell: so a list of what is harmless, where fail2ban lists what is harmful.
 */
const harmlessAscii = /^[0-9A-Za-z_ .:/@%+,=!-]*$/;
const harmlessEverywhere = "^[\\p{L}\\p{N}_ .:/@%+,=!-]*$";
/** The kernel takes at most 128 KiB in one variable, and a character may need four bytes. */
const valueLengthMax = 30_000;

/**
 * A command of an action (`actionban`) for one family of addresses, with every static tag replaced; "" when the
 * action has no such command.
 *
 * @throws Fleet2banError `invalid` when options refer to each other in a circle
 */
export function commandFor(options: Readonly<Record<string, string>>, command: string, family: Family): string {
  const own = (name: string) => (Object.hasOwn(options, name) ? options[name] : undefined);
  const find = (name: string) => (family === "" ? undefined : own(`${name}?family=${family}`)) ?? own(name);
  let text = find(command) ?? "";
  for (let round = 0; round < roundsMax; round += 1) {
    const before = text;
    text = text.replace(tag, (whole, name: string) =>
      dynamicOnly.has(name) ? whole : (find(name) ?? everywhere.get(name) ?? whole),
    );
    if (text === before) return text;
  }
  throw new Fleet2banError("invalid", `${command}: its tags refer to each other in a circle`);
}

/**
 * Puts the facts of one ban into a command. Nothing is replaced twice, and whatever a shell could take for more than
 * text is left to a variable, so that a log line never becomes a command.
 *
 * @param values    by tag
 * @param captured  what the filter's groups caught, for `<F-USER>` and the like; what was not caught is empty
 */
export function fillDynamicTags(
  command: string,
  values: ReadonlyMap<string, string>,
  captured: ReadonlyMap<string, string>,
): ShellCommand {
  const variables: Record<string, string> = {};
  const paste = (name: string, value: string) => {
    if (isHarmless(value)) return value;
    const variable = `f2bV_${name.replace(/\W/g, "_")}`;
    // The end of a program's variable is a zero byte.
    variables[variable] = value.slice(-valueLengthMax).replaceAll("\0", "");
    return `\${${variable}}`;
  };
  const text = command
    .replace(tag, (whole, name: string) => {
      const value = values.get(name);
      return value === undefined ? (everywhere.get(name) ?? whole) : paste(name, value);
    })
    .replace(capturedTag, (_whole, name: string) => {
      const group = groupOf(name);
      return paste(`F_${group}`, captured.get(group) ?? "");
    });
  return { text, variables };
}

/** Whether the text asks for this tag. */
export function mentions(text: string, name: string): boolean {
  return text.includes(`<${name}>`);
}

function groupOf(name: string): string {
  if (name === "ID") return "fid";
  return name === "PORT" ? "fport" : name.toLowerCase();
}

function isHarmless(value: string): boolean {
  // The second one is built when it is needed: V8 loads Unicode's tables with the first pattern that names a property.
  return harmlessAscii.test(value) || new RegExp(harmlessEverywhere, "u").test(value);
}
