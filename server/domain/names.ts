/**
 * Numbers for names that come again and again, so that a remembered failure costs a few numbers, not strings. Names
 * that come after `limit` others share number 0: they are told apart no more, but a hostile agent that invents names
 * claims no memory.
 */
export class Names {
  readonly #numbers = new Map<string, number>();
  readonly #names: string[];
  readonly #limit: number;

  /** `overflow` is the name all names beyond the limit are shown as. */
  constructor(limit: number, overflow: string) {
    this.#limit = limit;
    this.#names = [overflow];
  }

  numberOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    if (this.#names.length > this.#limit) return 0;
    const number = this.#names.push(name) - 1;
    this.#numbers.set(name, number);
    return number;
  }

  nameOf(number: number): string {
    return this.#names[number] ?? "";
  }
}
