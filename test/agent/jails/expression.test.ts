import assert from "node:assert/strict";
import { test } from "node:test";
import { parseExpression } from "../../../agent/jails/expression.ts";
import { seededRandom } from "../dates/date-lines.ts";
import { askFail2ban, withoutFail2ban } from "../fail2ban-oracle.ts";

const variables = { "ban.Time": 600, "ban.Count": 3, banFactor: 1.5 };
const computed = (text: string): number => parseExpression(text).evaluate(variables);

test("computes as Python does", () => {
  const cases: [string, number][] = [
    ["1 + 2 * 3", 7],
    ["-2 ** 2", -4],
    ["2 ** -1", 0.5],
    ["2 ** 3 ** 2", 512],
    ["7 // 2 + -7 // 2", -1],
    ["-7 % 3", 2],
    ["7 % -3", -2],
    ["1 << 4 >> 1", 8],
    ["1 < 2 < 3", 1],
    ["3 > 2 > 2", 0],
    ["10 if ban.Count > 2 else 20", 10],
    ["1 if 0 else 2 if 0 else 3", 3],
    ["not 0 and 5 or 7", 5],
    ["round(2.5) + round(3.5)", 6],
    ["round(2.345, 1)", 2.3],
    ["int(-2.7) + math.floor(-2.7)", -5],
    ["min(3, 1, 2) + max(1, 2)", 3],
    ["ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor", 7200],
    ["math.log(8, 2) + math.sqrt(16) + math.pow(2, 3)", 15],
    ["1_000 + 1e3 + .5", 2000.5],
    ["True + 1", 2],
  ];
  for (const [text, expected] of cases) assert.equal(computed(text), expected, text);
});

test("what Python raises an error for is not a number", () => {
  for (const text of ["1 / 0", "1 // 0", "1 % 0", "1 << -1", "math.sqrt(-1)"])
    assert.ok(Number.isNaN(computed(text)), text);
});

test("understands arithmetic and nothing else", () => {
  const refused = [
    "",
    "1 +",
    "1 2",
    "__import__('os').system('id')",
    "ban.__class__",
    "constructor",
    "toString(1)",
    "1 constructor 2",
    "math.__name__",
    "[1]",
    "lambda: 1",
    "min()",
    "'a' * 9",
    "(".repeat(60),
    `${"-".repeat(60)}1`,
    `${"1+".repeat(600)}1`,
  ];
  for (const text of refused) assert.throws(() => computed(text), { code: "invalid" }, text.slice(0, 20));
});

const oracle = `
import json, math, sys
class ban: Time = 600; Count = 3
banFactor = 1.5
values = []
for text in json.load(sys.stdin):
    try: value = float(eval(text))
    except Exception: value = None
    values.append(None if value is None or value != value or abs(value) == math.inf else value)
json.dump(values, sys.stdout)
`;

test("random formulas have Python's value", { skip: withoutFail2ban }, () => {
  const random = seededRandom(3);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const formula = (depth: number): string => {
    if (depth === 0) return pick(["0", "1", "2.5", "7", "20", "ban.Time", "ban.Count", "banFactor"]);
    const [one, two, three] = [formula(depth - 1), formula(depth - 1), formula(depth - 1)];
    return pick([
      `${one} ${pick(["+", "-", "*", "/", "//", "%", "<", "<=", "==", "!="])} ${two}`,
      `(${one} ${pick(["+", "-", "*"])} ${two})`,
      `-${one}`,
      `(${one}) if (${two}) > 3 else (${three})`,
      `${pick(["min", "max"])}(${one}, ${two})`,
      `${pick(["int", "abs", "round", "float", "math.floor"])}(${one})`,
      `(1 << int(min(abs(${one}), 20)))`,
      `(${one}) ** 2`,
    ]);
  };
  const formulas = Array.from({ length: 3000 }, () => formula(Math.floor(random() * 4)));
  const expected = askFail2ban(oracle, formulas, "UTC") as (number | null)[];
  for (const [index, text] of formulas.entries()) {
    const value = computed(text);
    const wanted = expected[index] ?? null;
    if (wanted === null) continue;
    assert.ok(Math.abs(value - wanted) <= Math.abs(wanted) * 1e-12, `${text}: ${value}, Python has ${wanted}`);
  }
});
