import { addressBits, type Net, parseAddress, parseNet, widen } from "../../shared/address.ts";

/** One entry of an ignore list. A name is what is neither an address nor a network. */
export type IgnoreEntry =
  | Readonly<{ kind: "net"; net: Net }>
  | Readonly<{ kind: "name"; name: string }>
  | Readonly<{ kind: "file"; path: string }>;

/** Entries one `file:` list may have: a country's networks fit, a whole feed belongs to the coordinator. */
const fileEntriesMax = 50_000;
const filePrefix = "file:";

export function parseIgnoreEntry(text: string): IgnoreEntry {
  if (text.startsWith(filePrefix)) return { kind: "file", path: text.slice(filePrefix.length) };
  const net = parseIgnoreNet(text);
  return net === undefined ? { kind: "name", name: text } : { kind: "net", net };
}

/** `192.0.2.1`, `192.0.2.0/24`, `192.0.2.0/255.255.255.0`, `[2001:db8::1]`. */
function parseIgnoreNet(text: string): Net | undefined {
  const bare = text.replace(/^\[(.+)\]$/, "$1");
  const slash = bare.indexOf("/");
  const mask = slash < 0 ? undefined : parseAddress(bare.slice(slash + 1));
  if (mask === undefined) return parseNet(bare);
  const address = parseAddress(bare.slice(0, slash));
  const prefix = prefixOfMask(mask);
  return address?.family === mask.family && prefix !== undefined ? widen(address, prefix) : undefined;
}

/** The length of a mask; undefined when its ones are not all in front. */
function prefixOfMask(mask: Net): number | undefined {
  const bits = addressBits[mask.family];
  for (let prefix = 0; prefix <= bits; prefix += 1) {
    const full: Net =
      mask.family === 4
        ? { family: 4, value: 0xffffffff, prefix: bits }
        : { family: 6, value: (1n << 128n) - 1n, prefix: bits };
    if (widen(full, prefix).value === mask.value) return prefix;
  }
  return undefined;
}

/** The lines of a `file:` list: entries apart by comma, blank or newline; `#` and `;` start a comment. */
export function parseIgnoreFile(text: string): readonly IgnoreEntry[] {
  const words = text.split("\n").flatMap((line) => line.replace(/[#;].*$/, "").split(/[\s,]+/));
  return words
    .filter((word) => word !== "")
    .slice(0, fileEntriesMax)
    .map(parseIgnoreEntry)
    .filter((entry) => entry.kind !== "file");
}
