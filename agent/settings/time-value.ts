import { Fleet2banError } from "../../shared/errors.ts";

const year = 365.25 * 86_400;
/** Seconds of each unit, by every spelling fail2ban takes. `m` is a minute; a month is a twelfth of a year. */
const unitSeconds: Readonly<Record<string, number>> = Object.fromEntries(
  (
    [
      [1, "s ss se sec second seconds"],
      [60, "m mm mi min minute minutes"],
      [3600, "h hh ho hou hour hours"],
      [86_400, "d dd da day days"],
      [7 * 86_400, "w ww we wee week weeks"],
      [year / 12, "mo mon month months"],
      [year, "y yy ye yea year years"],
    ] as const
  ).flatMap(([seconds, names]) => names.split(" ").map((name) => [name, seconds])),
);

/** Nesting of brackets; keeps a hostile value from exhausting the stack. */
const depthMax = 20;

/**
 * Reads a span of time as fail2ban does: seconds, `1d12h`, `1h 30m` (added), or arithmetic over them (`1y - 6mo`,
 * `2*3h`). A unit multiplies what stands directly before it.
 *
 * @returns seconds, may be negative (`-1` = for ever) or broken
 * @throws Fleet2banError `invalid`
 */
export function parseTimeValue(text: string, place: string): number {
  return evaluate(text, place, true);
}

/** Reads arithmetic without units: `bantime.factor = 1.5 * 2`. */
export function parseNumber(text: string, place: string): number {
  return evaluate(text, place, false);
}

function evaluate(text: string, place: string, units: boolean): number {
  const value = new Calculation(text, units).result();
  if (value === undefined || !Number.isFinite(value)) {
    const kind = units ? "span of time; write 600, 10m, 1h, 1d12h or 2*3h" : "number";
    throw new Fleet2banError("invalid", `${place}: "${text}" is not a ${kind}`);
  }
  return value;
}

/** Recursive descent: sum → product → signed → power → number with its unit. */
class Calculation {
  readonly #tokens: readonly string[];
  readonly #units: boolean;
  /** `1.2.3` is no number, although its pieces are. */
  readonly #torn: boolean;
  #at = 0;
  #depth = 0;

  constructor(text: string, units: boolean) {
    this.#units = units;
    this.#torn = /\.\d*\./.test(text);
    this.#tokens = text.toLowerCase().match(/\d+(?:\.\d*)?|\.\d+|[a-z]+|\*\*|\/\/|\S/g) ?? [];
  }

  /** undefined when the text is not a calculation. */
  result(): number | undefined {
    if (this.#torn) return undefined;
    const value = this.#sum();
    return this.#at === this.#tokens.length ? value : undefined;
  }

  #sum(): number {
    let value = this.#product();
    for (;;) {
      if (this.#accept("+")) value += this.#product();
      else if (this.#accept("-")) value -= this.#product();
      // Neighbours without an operator are added: `1h 30m`, `1d 2`.
      else if (this.#at > 0 && this.#startsNumber()) value += this.#product();
      else return value;
    }
  }

  #product(): number {
    let value = this.#signed();
    for (;;) {
      if (this.#accept("*")) value *= this.#signed();
      else if (this.#accept("//")) value = Math.floor(value / this.#signed());
      else if (this.#accept("/")) value /= this.#signed();
      else if (this.#accept("%")) value = modulo(value, this.#signed());
      else if (this.#units && this.#unit() !== undefined) value *= this.#takeUnit();
      else return value;
    }
  }

  #signed(): number {
    if (this.#accept("-")) return -this.#signedAgain();
    if (this.#accept("+")) return this.#signedAgain();
    const base = this.#primary();
    return this.#accept("**") ? base ** this.#signedAgain() : base;
  }

  #signedAgain(): number {
    this.#depth += 1;
    if (this.#depth > depthMax) return Number.NaN;
    const value = this.#signed();
    this.#depth -= 1;
    return value;
  }

  #primary(): number {
    if (this.#accept("(")) {
      this.#depth += 1;
      if (this.#depth > depthMax) return Number.NaN;
      const value = this.#sum();
      this.#depth -= 1;
      return this.#accept(")") ? value : Number.NaN;
    }
    if (!this.#startsNumber()) return Number.NaN;
    const value = Number(this.#tokens[this.#at]);
    this.#at += 1;
    return value;
  }

  #startsNumber(): boolean {
    return /^[\d.]*\d/.test(this.#tokens[this.#at] ?? "");
  }

  #unit(): number | undefined {
    const afterNumber = /\d/.test(this.#tokens[this.#at - 1] ?? "");
    const name = this.#tokens[this.#at] ?? "";
    return afterNumber && Object.hasOwn(unitSeconds, name) ? unitSeconds[name] : undefined;
  }

  #takeUnit(): number {
    const seconds = this.#unit() ?? Number.NaN;
    this.#at += 1;
    return seconds;
  }

  #accept(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at += 1;
    return true;
  }
}

/** Python's remainder has the divisor's sign. */
function modulo(value: number, divisor: number): number {
  return value - divisor * Math.floor(value / divisor);
}
