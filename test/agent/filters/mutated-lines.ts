import type { seededRandom } from "./seeded-random.ts";

type Random = ReturnType<typeof seededRandom>;

const addresses = [
  "198.51.100.66",
  "2001:db8::bad",
  "::ffff:198.51.100.66",
  "[2001:DB8::1]",
  "999.1.1.1",
  "1.2.3.04",
  "1.2.3",
  "::1",
  "host-1.example.net",
  "[198.51.100.66]:22",
];
const pieces = [
  ...addresses,
  ...[" ", "  ", "\t", ":", ",", ";", "=", "<", ">", "[", "]", "(", ")", "'", '"', "\\", "%", "$", "^", ".", "-", "_"],
  ...["root", "user=", " from ", " for ", "invalid user ", "[preauth]", " port 22", "NOQUEUE: ", "rhost=", "1", "[]"],
  ...["ö", "日本", "😀", "\u00a0", "\u2028", "\x1c", "\x00", "\r", "²", "K"],
];
const dates = [
  "2005-08-14T11:58:59.123+0100",
  "Aug 14 11:58:59",
  "Sun Aug 14 11:58:59 2005",
  "14/Aug/2005:11:58:59 +0200",
  "1124013599",
  "2005-08-14 11:58:59,417",
  "Feb 30 11:58:59",
  "",
];

/** A sample line with a few changes of the kinds that log lines and attackers bring. */
export function mutated(random: Random, line: string, others: readonly string[]): string {
  let text = line;
  for (let count = 1 + random.below(3); count > 0; count -= 1) text = changed(random, text, others);
  return text.replaceAll("\n", " ");
}

function changed(random: Random, line: string, others: readonly string[]): string {
  const at = random.below(line.length + 1);
  const to = Math.min(line.length, at + 1 + random.below(8));
  switch (random.below(11)) {
    case 0:
    case 1:
      return line.slice(0, at) + random.pick(pieces) + line.slice(at);
    case 2:
      return line.slice(0, at) + line.slice(to);
    case 3:
      return line.slice(0, at) + random.pick(pieces) + line.slice(to);
    case 4:
      return line.slice(0, at) + line.slice(at, to).repeat(2 + random.below(3)) + line.slice(to);
    case 5: {
      const other = random.pick(others);
      return line.slice(0, at) + other.slice(random.below(other.length + 1));
    }
    case 6:
      return line.replace(/\b\d{1,3}(?:\.\d{1,3}){3}\b/, () => random.pick(addresses));
    case 7:
      return line.replace(/[\d:/-]{8,}\S*/, () => random.pick(dates));
    case 8: {
      const upper = line.slice(at, to).toUpperCase();
      return line.slice(0, at) + (upper === line.slice(at, to) ? upper.toLowerCase() : upper) + line.slice(to);
    }
    case 9:
      return line + random.pick(pieces) + (random.below(2) === 0 ? random.pick(pieces) : "");
    default: {
      const words = line.split(" ");
      const [one, two] = [random.below(words.length), random.below(words.length)];
      [words[one], words[two]] = [words[two] ?? "", words[one] ?? ""];
      return words.join(" ");
    }
  }
}
