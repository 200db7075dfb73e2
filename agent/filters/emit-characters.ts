import type { ClassLetter, RegexNode, SetItem } from "./python-regex-tree.ts";

const digitsAscii = "0-9";
const spacesAscii = "\\t-\\r\\x1c-\\x20";
const wordAscii = "A-Za-z0-9_";
/** `str.isspace` of Python: JavaScript's `\s` lacks U+001C to U+001F and U+0085 and has U+FEFF. */
const spacesUnicode = `${spacesAscii}\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000`;
const wordUnicode = "\\p{L}\\p{N}_";
/** Everything in ASCII but Python's spaces, for `[^…\S…]` where a nested set is not to be had. */
const notSpacesAscii = "\\0-\\x08\\x0e-\\x1b!-\\x7f";

/** The inside of a set that holds Python's word characters. */
export function wordClass(ascii: boolean): string {
  return ascii ? wordAscii : wordUnicode;
}

/** One character outside of a set. */
export function escapeCharacter(code: number, unicode: boolean): string {
  const character = String.fromCodePoint(code);
  if (/[A-Za-z0-9_ !"#%&',:;<=>@`~-]/.test(character)) return character;
  if (/[$^\\.*+?()[\]{}|/]/.test(character)) return `\\${character}`;
  // Without the v flag an astral character is two units; a group keeps a quantifier on both.
  if (code > 0xffff && !unicode)
    return `(?:${escapeUnit(character.charCodeAt(0))}${escapeUnit(character.charCodeAt(1))})`;
  return escapeUnit(code);
}

export function emitSet(node: Extract<RegexNode, { kind: "set" }>, unicode: boolean): string {
  const inside = node.items.map((item) =>
    item.kind === "class" ? emitClass(item, unicode) : emitRange(item, unicode),
  );
  return `[${node.negated ? "^" : ""}${inside.join("")}]`;
}

function emitRange(item: Extract<SetItem, { kind: "range" }>, unicode: boolean): string {
  // Astral characters cannot occur in the lines the short form is used for.
  if (!unicode && item.from > 0xffff) return "";
  const to = unicode ? item.to : Math.min(item.to, 0xffff);
  return item.from === to ? escapeInSet(item.from) : `${escapeInSet(item.from)}-${escapeInSet(to)}`;
}

function escapeInSet(code: number): string {
  const character = String.fromCodePoint(code);
  return /[A-Za-z0-9]/.test(character) ? character : escapeUnit(code);
}

function escapeUnit(code: number): string {
  if (code > 0xffff) return `\\u{${code.toString(16)}}`;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

const asciiClasses: Readonly<Record<ClassLetter, string>> = {
  d: digitsAscii,
  D: "\\D",
  s: spacesAscii,
  S: notSpacesAscii,
  w: wordAscii,
  W: "\\W",
};

function emitClass(item: Extract<SetItem, { kind: "class" }>, unicode: boolean): string {
  if (!unicode) return asciiClasses[item.letter];
  const inside = {
    d: item.ascii ? digitsAscii : "\\p{Nd}",
    s: item.ascii ? spacesAscii : spacesUnicode,
    w: wordClass(item.ascii),
  };
  const lower = item.letter.toLowerCase();
  const set = lower === "d" ? inside.d : lower === "s" ? inside.s : inside.w;
  return item.letter === lower ? set : `[^${set}]`;
}
