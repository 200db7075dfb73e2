import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { emitJavaScript } from "../../../agent/filters/emit-javascript.ts";
import { parsePythonRegex } from "../../../agent/filters/python-regex-parser.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import { randomRegex } from "./random-regex.ts";
import { seededRandom } from "./seeded-random.ts";

/**
 * V8 13.6 (Node 24) stops matching `(?i:…)` once a regex has been used some thousand times: an attack seen in the
 * morning is missed at noon. So it must not be in our own regexes, nor in what Python's are translated to.
 */
const scopedFlags = /\(\?[a-z]*(?:-[a-z]+)?:/;
/** `(?:` itself has no flags. */
const plainGroup = /\(\?:/g;

/** None when the generated regex is none that Python would take. */
function translationsOf(regex: string): string[] {
  try {
    const tree = parsePythonRegex(regex, { multiline: false });
    return [false, true].map((unicode) => emitJavaScript(tree, unicode).source);
  } catch (error) {
    if (error instanceof Fleet2banError) return [];
    throw error;
  }
}

test("no translated regex has scoped flags", () => {
  const random = seededRandom(5);
  const regexes = [
    "(?i)abc (?-i:DEF)",
    "a(?i:bc)d",
    "(?i:a|b)+(?i:c)",
    "(?s:.)(?m:^a)(?x: b )",
    ...Array.from({ length: 300 }, () => randomRegex(random, 3)),
  ];
  let insensitive = 0;
  for (const regex of regexes) {
    const sources = translationsOf(regex);
    if (regex.includes("(?i") && sources.length > 0) insensitive += 1;
    for (const source of sources) assert.doesNotMatch(source.replace(plainGroup, ""), scopedFlags, regex);
  }
  assert.ok(insensitive > 20);
});

test("no regex in our own sources has scoped flags", () => {
  const root = join(import.meta.dirname, "../../..");
  const files = globSync("{agent,server,shared}/**/*.ts", { cwd: root });
  assert.ok(files.length > 200);
  const found = files.flatMap((file) => {
    const code = readFileSync(join(root, file), "utf8");
    return code.split("\n").flatMap((line, index) => {
      // Sentences name the construct; they hold an ellipsis or stand in comments.
      const isText = /^\s*(?:\/?\*|\/\/)/.test(line) || line.includes("(?i:…)");
      return !isText && scopedFlags.test(line.replace(plainGroup, "")) ? [`${file}:${index + 1}`] : [];
    });
  });
  assert.deepEqual(found, []);
});
