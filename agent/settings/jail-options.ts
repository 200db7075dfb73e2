import { Fleet2banError } from "../../shared/errors.ts";
import type { BanTimeIncrement, JailSettings } from "./jail-settings.ts";
import { parseOptions } from "./reference.ts";
import { parseNumber, parseTimeValue } from "./time-value.ts";

/** Failures a jail may ask for; its windows and the wire count in plain integers well above. */
const countMax = 1_000_000;
/** Entries of an ignore cache: addresses with their answer, about 200 bytes each. */
const cacheCountMax = 100_000;

/** Everything else is false, as in fail2ban. */
export function isTrue(text: string): boolean {
  return /^(?:1|on|true|yes)$/i.test(text.trim());
}

/** The typed values of a jail's options. What cannot be read is an error where guessing could lock out or let in. */
export class JailOptions {
  readonly warnings: string[] = [];
  readonly #texts: ReadonlyMap<string, string>;
  readonly #place: (option: string) => string;

  constructor(texts: ReadonlyMap<string, string>, place: (option: string) => string) {
    this.#texts = texts;
    this.#place = place;
  }

  flag(option: string, fallback: boolean): boolean {
    const text = this.#text(option);
    return text === undefined ? fallback : isTrue(text);
  }

  /** A bad number becomes fail2ban's own default, with a warning, as fail2ban does. */
  count(option: string, fallback: number, least = 1): number {
    const text = this.#text(option);
    if (text === undefined) return fallback;
    const count = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (count >= least && count <= countMax) return count;
    this.warnings.push(
      `${this.#place(option)}: "${text}" is not a number from ${least} to ${countMax}; ${fallback} is used`,
    );
    return fallback;
  }

  /** Whole seconds, as fail2ban counts them. */
  spanMs(option: string, fallbackMs: number): number {
    const text = this.#text(option);
    if (text === undefined || text === "") return fallbackMs;
    const ms = Math.trunc(parseTimeValue(text, this.#place(option))) * 1000;
    if (ms > 0) return ms;
    throw new Fleet2banError(
      "invalid",
      `${this.#place(option)}: "${text}" is not longer than nothing; write a span such as 10m`,
    );
  }

  /** null = for ever. */
  banTimeMs(): number | null {
    const text = this.#text("bantime");
    if (text !== undefined && text !== "" && parseTimeValue(text, this.#place("bantime")) < 0) return null;
    return this.spanMs("bantime", 600_000);
  }

  increment(): BanTimeIncrement | null {
    if (!this.flag("bantime.increment", false)) return null;
    const given = (option: string) => this.#text(`bantime.${option}`) || null;
    const factor = given("factor");
    const maxTime = given("maxtime");
    return {
      factor: factor === null ? null : parseNumber(factor, this.#place("bantime.factor")),
      formula: given("formula"),
      multipliers: this.#multipliers(given("multipliers")),
      maxTimeMs: maxTime === null ? null : this.spanMs("bantime.maxtime", 0),
      randomMs: given("rndtime") === null ? 0 : this.#randomMs(),
      overAllJails: this.flag("bantime.overalljails", false),
    };
  }

  ignoreCache(): JailSettings["ignoreCache"] {
    const text = this.#text("ignorecache") ?? "";
    if (text === "") return null;
    const place = this.#place("ignorecache");
    const options = parseOptions(text, place);
    const key = options.get("key");
    const countText = options.get("max-count") ?? "100";
    const count = /^\d+$/.test(countText) ? Number(countText) : 0;
    if (key === undefined || count < 1 || count > cacheCountMax) {
      throw new Fleet2banError(
        "invalid",
        `${place}: write key="<ip>", max-count=100, max-time=5m (max-count at most ${cacheCountMax})`,
      );
    }
    const timeMs = Math.trunc(parseTimeValue(options.get("max-time") ?? "5m", place) * 1000);
    return { key, countMax: count, timeMs };
  }

  #randomMs(): number {
    const place = this.#place("bantime.rndtime");
    return Math.max(0, Math.trunc(parseTimeValue(this.#text("bantime.rndtime") ?? "0", place) * 1000));
  }

  #multipliers(text: string | null): number[] | null {
    if (text === null) return null;
    const numbers = text.split(/\s+/).map(Number);
    if (numbers.every((number) => Number.isInteger(number) && number >= 0)) return numbers;
    throw new Fleet2banError(
      "invalid",
      `${this.#place("bantime.multipliers")}: "${text}" is not a row of whole numbers like 1 24 168`,
    );
  }

  #text(option: string): string | undefined {
    return this.#texts.get(option)?.trim();
  }
}
