import { basename, extname } from "node:path";

/** Rotated files looked at when a position is sought: a year of weeks, with room. */
export const rotatedFilesMax = 64;

/** A number this long is a date or a time, which grows with every rotation; a shorter one counts rotations back. */
const dateDigitsMin = 6;

type Rotated = Readonly<{ name: string; dated: boolean; numbers: readonly number[]; compressed: boolean }>;

/**
 * The names that rotation gave to earlier files of the log `base`, oldest first: `auth.log.2.gz`, `auth.log.1`; or
 * `auth.log-20260101`, `auth-20260102.log`. By name, because times tie and copies lie. A file that is there both plain
 * and compressed is being compressed right now, and the plain one is taken.
 */
export function rotatedNames(base: string, names: Iterable<string>): string[] {
  const found = new Map<string, Rotated>();
  for (const name of names) {
    const rotated = asRotated(base, name);
    if (rotated === undefined) continue;
    const key = `${rotated.dated} ${rotated.numbers.join(" ")}`;
    if (found.get(key)?.compressed !== false) found.set(key, rotated);
  }
  return [...found.values()]
    .sort(byAge)
    .slice(-rotatedFilesMax)
    .map((each) => each.name);
}

/**
 * The log of which `name` is an earlier file, if there is one: a glob such as `mail*` also finds what rotation left
 * behind, and that has been read already. Any compressed file counts as one.
 */
export function rotatedBaseOf(name: string, isLog: (name: string) => boolean): string | undefined {
  const plain = name.replace(/\.(?:gz|bz2|xz|zst)$/, "");
  const bases = [plain, ...Array.from(plain.matchAll(/\.old$|[-._]\d/g), ({ index }) => plain.slice(0, index))];
  const [compressed, ...uncompressed] = bases;
  if (plain !== name) return compressed;
  const dateless = plain.replace(/[-._]\d+(?:[-_.:T]?\d+)*(?=\.[^.]*$)/, "");
  return [...uncompressed, dateless].find((base) => asRotated(base, name) !== undefined && isLog(base));
}

function asRotated(base: string, name: string): Rotated | undefined {
  const compressed = name.endsWith(".gz");
  const plain = compressed ? name.slice(0, -3) : name;
  const extension = extname(base);
  const stem = basename(base, extension);
  const suffix = plain.startsWith(base) ? plain.slice(base.length) : undefined;
  const infix =
    extension !== "" && plain.startsWith(stem) && plain.endsWith(extension)
      ? plain.slice(stem.length, -extension.length)
      : undefined;
  if (suffix === ".old") return { name, dated: false, numbers: [0], compressed };
  const digits = [suffix, infix].find((part) => part !== undefined && /^[-._]\d+(?:[-_.:T]?\d+)*$/.test(part));
  if (digits === undefined) return undefined;
  const groups = digits.match(/\d+/g) ?? [];
  const dated = groups.join("").length >= dateDigitsMin;
  // `web-1.log` beside `web.log` may be another log; only a date between stem and extension is a rotation's.
  if (!dated && (digits !== suffix || groups.length > 1)) return undefined;
  return { name, dated, numbers: groups.map(Number), compressed };
}

/** Someone who changed from dates to numbers has the dated ones as the older ones, and the other way round is as rare. */
function byAge(left: Rotated, right: Rotated): number {
  if (left.dated !== right.dated) return left.dated ? -1 : 1;
  for (const [index, number] of left.numbers.entries()) {
    const difference = number - (right.numbers[index] ?? -1);
    if (difference !== 0) return left.dated ? difference : -difference;
  }
  return left.numbers.length - right.numbers.length;
}
