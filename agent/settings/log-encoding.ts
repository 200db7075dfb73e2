/** What this runtime calls an encoding that Python calls `latin_1` or `utf_8`; undefined when it knows none of that name. */
export function encodingNamed(name: string): string | undefined {
  // fail2ban asks the locale, which is UTF-8 wherever it runs today.
  if (name.toLowerCase() === "auto") return "utf-8";
  for (const spelled of [name, name.replaceAll("_", "-"), name.replaceAll("_", "")]) {
    try {
      return new TextDecoder(spelled).encoding;
    } catch {
      // Perhaps another spelling.
    }
  }
  return undefined;
}
