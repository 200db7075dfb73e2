/** Collects the conditions of one query; values only ever become parameters. */
export class Where {
  readonly values: unknown[] = [];
  readonly #conditions: string[] = [];

  /** A condition on a value; none when the value is undefined. */
  is(condition: (place: string) => string, value: unknown): void {
    if (value !== undefined) this.#conditions.push(condition(this.place(value)));
  }

  also(condition: string): void {
    this.#conditions.push(`(${condition})`);
  }

  /** `$3`: where this value stands. */
  place(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }

  get text(): string {
    return this.#conditions.length === 0 ? "true" : this.#conditions.join(" and ");
  }
}
