import { Fleet2banError } from "../../shared/errors.ts";
import { roundHalfEven } from "./python-round.ts";

/** A number formula of `bantime.formula` or `bantime.factor`, in Python's syntax, without Python. */
export type Expression = Readonly<{
  /** NaN where Python would raise: division by zero, a negative shift, a root of a negative number. */
  evaluate(variables: Readonly<Record<string, number>>): number;
}>;

type Variables = Readonly<Record<string, number>>;
type Node = (variables: Variables) => number;
type Operator<Result> = (left: number, right: number) => Result;

/** Formulas are one line of arithmetic; more is a mistake or an attack on the parser. */
const lengthMax = 1000;
const depthMax = 50;
/** 2 to this power is the last that is finite: a larger shift is infinite instead of a long integer. */
const shiftMax = 1023;

const constants: Variables = { "math.pi": Math.PI, "math.e": Math.E, True: 1, False: 0 };

const functions: Readonly<Record<string, (...values: number[]) => number>> = {
  min: Math.min,
  max: Math.max,
  abs: Math.abs,
  int: Math.trunc,
  float: (value) => value,
  round: roundTo,
  pow: (base, exponent) => base ** exponent,
  "math.exp": Math.exp,
  "math.log": (value, base) => (base === undefined ? Math.log(value) : Math.log(value) / Math.log(base)),
  "math.log2": Math.log2,
  "math.log10": Math.log10,
  "math.sqrt": Math.sqrt,
  "math.pow": (base, exponent) => base ** exponent,
  "math.floor": Math.floor,
  "math.ceil": Math.ceil,
  "math.trunc": Math.trunc,
  "math.fabs": Math.abs,
  "math.sin": Math.sin,
  "math.cos": Math.cos,
  "math.tan": Math.tan,
  "math.atan": Math.atan,
};

/** Loosest first. Source: the Python language reference, "Operator precedence". */
const binaryLevels: readonly ReadonlyMap<string, Operator<number>>[] = [
  operators({ "|": (left, right) => left | right }),
  operators({ "^": (left, right) => left ^ right }),
  operators({ "&": (left, right) => left & right }),
  operators({
    "<<": (left, right) => (right < 0 ? Number.NaN : left * 2 ** Math.min(right, shiftMax)),
    ">>": (left, right) => (right < 0 ? Number.NaN : Math.floor(left / 2 ** Math.min(right, shiftMax))),
  }),
  operators({ "+": (left, right) => left + right, "-": (left, right) => left - right }),
  operators({
    "*": (left, right) => left * right,
    "/": (left, right) => (right === 0 ? Number.NaN : left / right),
    "//": (left, right) => (right === 0 ? Number.NaN : Math.floor(left / right)),
    // The sign follows the divisor, as in Python.
    "%": (left, right) => (right === 0 ? Number.NaN : left - right * Math.floor(left / right)),
  }),
];

const comparisons = operators<boolean>({
  "<": (left, right) => left < right,
  ">": (left, right) => left > right,
  "<=": (left, right) => left <= right,
  ">=": (left, right) => left >= right,
  "==": (left, right) => left === right,
  "!=": (left, right) => left !== right,
});

const tokenPattern =
  /\s*(?:((?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*(?:\.\w+)*)|(\*\*|\/\/|<<|>>|<=|>=|==|!=|[-+*/%<>()&|^,]))/y;

/** @throws Fleet2banError `invalid`, naming what is not understood */
export function parseExpression(text: string): Expression {
  return { evaluate: new Parser(text).parse() };
}

/** By recursive descent; a method per level of precedence, the loosest first. */
class Parser {
  readonly #text: string;
  readonly #tokens: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokenise(text);
  }

  parse(): Node {
    const whole = this.#conditional();
    if (this.#at < this.#tokens.length) this.#fail(`"${this.#tokens[this.#at]}" is not expected here`);
    return whole;
  }

  #conditional(): Node {
    this.#goDeeper();
    const value = this.#either();
    this.#depth -= 1;
    if (!this.#take("if")) return value;
    const condition = this.#either();
    this.#expect("else");
    const otherwise = this.#conditional();
    return (variables) => (isTrue(condition(variables)) ? value(variables) : otherwise(variables));
  }

  #either(): Node {
    const left = this.#both();
    if (!this.#take("or")) return left;
    const right = this.#either();
    return (variables) => {
      const value = left(variables);
      return isTrue(value) ? value : right(variables);
    };
  }

  #both(): Node {
    const left = this.#negated();
    if (!this.#take("and")) return left;
    const right = this.#both();
    return (variables) => {
      const value = left(variables);
      return isTrue(value) ? right(variables) : value;
    };
  }

  #negated(): Node {
    if (!this.#take("not")) return this.#comparison();
    const value = this.#negated();
    return (variables) => (isTrue(value(variables)) ? 0 : 1);
  }

  /** `1 < a < 3` compares each neighbour. */
  #comparison(): Node {
    const first = this.#binary(0);
    const rest: { compare: Operator<boolean>; node: Node }[] = [];
    for (let compare = this.#operator(comparisons); compare !== undefined; compare = this.#operator(comparisons)) {
      rest.push({ compare, node: this.#binary(0) });
    }
    if (rest.length === 0) return first;
    return (variables) => {
      let left = first(variables);
      for (const { compare, node } of rest) {
        const right = node(variables);
        if (!compare(left, right)) return 0;
        left = right;
      }
      return 1;
    };
  }

  #binary(level: number): Node {
    const known = binaryLevels[level];
    if (known === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    for (let operate = this.#operator(known); operate !== undefined; operate = this.#operator(known)) {
      const [first, second, apply] = [left, this.#binary(level + 1), operate];
      left = (variables) => apply(first(variables), second(variables));
    }
    return left;
  }

  #unary(): Node {
    this.#goDeeper();
    const minus = this.#take("-");
    const operand = minus || this.#take("+") ? this.#unary() : this.#power();
    this.#depth -= 1;
    return minus ? (variables) => -operand(variables) : operand;
  }

  /** Binds tighter than a sign on its left, looser than one on its right: -2**-1 is -(2**(-1)). */
  #power(): Node {
    const base = this.#atom();
    if (!this.#take("**")) return base;
    const exponent = this.#unary();
    return (variables) => base(variables) ** exponent(variables);
  }

  #atom(): Node {
    const token = this.#tokens[this.#at] ?? this.#fail("ends too early");
    this.#at += 1;
    if (token === "(") {
      const inner = this.#conditional();
      this.#expect(")");
      return inner;
    }
    if (/^[\d.]/.test(token)) {
      const value = Number(token.replaceAll("_", ""));
      return () => value;
    }
    if (!/^\w/.test(token)) return this.#fail(`"${token}" is not expected here`);
    return this.#take("(") ? this.#call(token) : this.#named(token);
  }

  #call(name: string): Node {
    const apply = Object.hasOwn(functions, name) ? functions[name] : undefined;
    if (apply === undefined) return this.#fail(`function ${name} is not known`);
    const values: Node[] = [];
    do values.push(this.#conditional());
    while (this.#take(","));
    this.#expect(")");
    return (variables) => apply(...values.map((value) => value(variables)));
  }

  #named(name: string): Node {
    const constant = Object.hasOwn(constants, name) ? constants[name] : undefined;
    if (constant !== undefined) return () => constant;
    if (!variableNames.has(name)) return this.#fail(`${name} is not known`);
    return (variables) => variables[name] ?? Number.NaN;
  }

  #operator<Result>(known: ReadonlyMap<string, Operator<Result>>): Operator<Result> | undefined {
    const found = known.get(this.#tokens[this.#at] ?? "");
    if (found !== undefined) this.#at += 1;
    return found;
  }

  #take(wanted: string): boolean {
    if (this.#tokens[this.#at] !== wanted) return false;
    this.#at += 1;
    return true;
  }

  #expect(wanted: string): void {
    if (!this.#take(wanted)) this.#fail(`"${wanted}" is missing before "${this.#tokens[this.#at] ?? "the end"}"`);
  }

  #goDeeper(): void {
    this.#depth += 1;
    if (this.#depth > depthMax) this.#fail("is nested too deeply");
  }

  #fail(what: string): never {
    throw new Fleet2banError(
      "invalid",
      `bantime.formula "${this.#text.slice(0, 200)}": ${what}; it may use numbers, ban.Time, ban.Count, banFactor, ` +
        "+ - * / // % ** << >>, comparisons, a if c else b, min, max, abs, int, float, round and math functions",
    );
  }
}

const variableNames = new Set(["ban.Time", "ban.Count", "banFactor"]);

function tokenise(text: string): string[] {
  const tokens: string[] = [];
  const trimmed = text.trimEnd();
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < trimmed.length) {
    const at = tokenPattern.lastIndex;
    const match = at < lengthMax ? tokenPattern.exec(trimmed) : null;
    if (match === null) {
      const rest = trimmed.slice(at, at + 20);
      throw new Fleet2banError("invalid", `bantime.formula "${text.slice(0, 200)}": "${rest}" is not arithmetic`);
    }
    tokens.push(match[1] ?? match[2] ?? match[3] ?? "");
  }
  return tokens;
}

/** NaN, our sign for an error, is never a condition met. */
function isTrue(value: number): boolean {
  return value !== 0 && !Number.isNaN(value);
}

/** `digits` after the point. */
function roundTo(value: number, digits = 0): number {
  const scale = 10 ** digits;
  return roundHalfEven(value * scale) / scale;
}

function operators<Result>(table: Readonly<Record<string, Operator<Result>>>): ReadonlyMap<string, Operator<Result>> {
  return new Map(Object.entries(table));
}
