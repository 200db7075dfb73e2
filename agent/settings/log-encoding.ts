/**
 * What this runtime calls an encoding that Python calls `latin_1` or `utf_8`; undefined when it knows none of that name, or
 * one in which the ASCII characters of a log are not single bytes.
 */
export function encodingNamed(name: string): string | undefined {
  // fail2ban asks the locale, which is UTF-8 wherever it runs today.
  if (name.toLowerCase() === "auto") return "utf-8";
  for (const spelled of [name, name.replaceAll("_", "-"), name.replaceAll("_", "")]) {
    try {
      const { encoding } = new TextDecoder(spelled);
      return encoding.startsWith("utf-16") ? undefined : encoding;
    } catch {
      // Perhaps another spelling.
    }
  }
  return undefined;
}
