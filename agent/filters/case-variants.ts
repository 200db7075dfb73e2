import type { SetItem } from "./python-regex-tree.ts";

/** Relatives across ASCII's border that Python knows: Kelvin sign, long s, dotted and dotless i, Ångström sign. */
const relatives: Readonly<Record<string, readonly number[]>> = {
  k: [0x212a],
  s: [0x17f],
  i: [0x130, 0x131],
  å: [0x212b],
};

/** Widest range whose members are looked at one by one; wider ones are scripts, which hold both cases of their letters. */
const rangeMax = 4096;

/** All characters that equal this one when case is ignored, itself included. */
export function caseVariants(code: number): readonly number[] {
  const character = String.fromCodePoint(code);
  const variants = new Set([code]);
  for (const variant of [character.toLowerCase(), character.toUpperCase()]) {
    // ß and its like become two characters; those are not variants of one.
    if (variant.length === String.fromCodePoint(variant.codePointAt(0) ?? 0).length)
      variants.add(variant.codePointAt(0) ?? code);
  }
  for (const [letter, others] of Object.entries(relatives)) {
    const all = [letter, letter.toUpperCase()].map((each) => each.codePointAt(0) ?? 0).concat(others);
    if (all.includes(code)) for (const each of all) variants.add(each);
  }
  return [...variants];
}

/** A set's items with the other cases of their characters. */
export function withCaseVariants(items: readonly SetItem[]): readonly SetItem[] {
  const added = items.flatMap((item): SetItem[] => {
    if (item.kind === "class" || item.to - item.from > rangeMax) return [];
    const variants: SetItem[] = [];
    for (let code = item.from; code <= item.to; code += 1) {
      for (const variant of caseVariants(code)) {
        if (variant < item.from || variant > item.to) variants.push({ kind: "range", from: variant, to: variant });
      }
    }
    return variants;
  });
  return [...items, ...added];
}
