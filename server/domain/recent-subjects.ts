/**
 * Which subjects were seen in the last span, by a 32-bit key, and when last. Two flat arrays with open addressing: a
 * day of one host's subjects takes 8 to 16 bytes each, where a Map takes 60; ten thousand hosts make that a gigabyte.
 */
export class RecentSubjects {
  #keys = new Uint32Array(16);
  #seconds = new Uint32Array(16);
  #size = 0;
  readonly #spanSeconds: number;

  constructor(spanSeconds: number) {
    this.#spanSeconds = spanSeconds;
  }

  /** How many are kept: those of the span, and maybe some older ones. */
  get size(): number {
    return this.#size;
  }

  copyTo(other: RecentSubjects): void {
    for (const [index, key] of this.#keys.entries()) if (key !== 0) other.see(key, this.#seconds[index] ?? 0);
  }

  has(key: number, second: number): boolean {
    const slot = this.#slotOf(key);
    return this.#keys[slot] === key && second - (this.#seconds[slot] ?? 0) <= this.#spanSeconds;
  }

  /** How many were seen in the span that ends at `second`. Exact once it matters: when `least` or more may be there. */
  count(second: number, least: number): number {
    if (this.#size >= least) this.#rebuild(second, this.#keys.length);
    return this.#size;
  }

  see(key: number, second: number): void {
    let slot = this.#slotOf(key);
    if (this.#keys[slot] !== key) {
      if (this.#size * 4 >= this.#keys.length * 3) {
        this.#rebuild(second, this.#keys.length);
        if (this.#size * 2 >= this.#keys.length) this.#rebuild(second, this.#keys.length * 2);
        slot = this.#slotOf(key);
      }
      this.#keys[slot] = key;
      this.#size += 1;
    }
    if (second > (this.#seconds[slot] ?? 0)) this.#seconds[slot] = second;
  }

  /** Where the key is, or the free slot it would take. Key 0 marks a free slot; callers never pass it. */
  #slotOf(key: number): number {
    const mask = this.#keys.length - 1;
    // Neighbouring addresses must not fill neighbouring slots: multiply by 2^32 / golden ratio, keep the high bits.
    let slot = (Math.imul(key, 0x9e3779b1) >>> 8) & mask;
    while (this.#keys[slot] !== 0 && this.#keys[slot] !== key) slot = (slot + 1) & mask;
    return slot;
  }

  #rebuild(second: number, length: number): void {
    const [keys, seconds] = [this.#keys, this.#seconds];
    this.#keys = new Uint32Array(length);
    this.#seconds = new Uint32Array(length);
    this.#size = 0;
    for (let index = 0; index < keys.length; index += 1) {
      const [key = 0, seen = 0] = [keys[index], seconds[index]];
      if (key === 0 || second - seen > this.#spanSeconds) continue;
      const slot = this.#slotOf(key);
      this.#keys[slot] = key;
      this.#seconds[slot] = seen;
      this.#size += 1;
    }
  }
}
