import type { Ban } from "./ban-book.ts";

/** Standing bans by their end: a binary heap, because bans of any length come and the next to end must be at hand. */
export class Expiries {
  readonly #heap: Ban[] = [];

  add(ban: Ban): void {
    if (ban.untilMs === null) return;
    let index = this.#heap.push(ban) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#isBefore(index, parent)) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  /** Takes out the next ban that ends at or before `nowMs`, earliest first, then oldest; undefined when there is none. */
  takeDue(nowMs: number): Ban | undefined {
    const first = this.#heap[0];
    if (first === undefined || endOf(first) > nowMs) return undefined;
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return first;
    this.#heap[0] = last;
    let index = 0;
    for (;;) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < this.#heap.length && this.#isBefore(child, least)) least = child;
      }
      if (least === index) return first;
      this.#swap(index, least);
      index = least;
    }
  }

  #isBefore(one: number, other: number): boolean {
    const [left, right] = [this.#heap[one], this.#heap[other]];
    if (left === undefined || right === undefined) return false;
    return endOf(left) - endOf(right) < 0 || (endOf(left) === endOf(right) && left.id < right.id);
  }

  #swap(one: number, other: number): void {
    const [left, right] = [this.#heap[one], this.#heap[other]];
    if (left === undefined || right === undefined) return;
    this.#heap[one] = right;
    this.#heap[other] = left;
  }
}

const endOf = (ban: Ban): number => ban.untilMs ?? Number.POSITIVE_INFINITY;
