import type { Failure } from "../../shared/failure-batch.ts";

/** Addresses that go on after their ban is due. Fewer than the brake lets pass in a minute. */
const attackers = 800;
/** One failure in so many is an attacker's. */
const attackerEvery = 10;
/** Most agents have a few lines to report, one in six a burst: twenty rows on average. */
const smallRows = [1, 2, 3, 4, 5] as const;
const burstEvery = 6;
const burstRows = { least: 30, most: 180 } as const;

/**
 * What ten thousand sensors see of the Internet: mostly addresses that try once here and once there and never fill a
 * window, and among them some that do not stop. Nothing is sent to these addresses; they only have to be many.
 */
export class IngestTraffic {
  readonly #subjects: number;
  #made = 0;
  #batch = 0;

  constructor(subjects: number) {
    this.#subjects = subjects;
  }

  /** The next batch of some agent. */
  next(nowMs: number): Failure[] {
    this.#batch += 1;
    const rows =
      this.#batch % burstEvery === 0
        ? burstRows.least + (scatter(this.#batch) % (burstRows.most - burstRows.least))
        : (smallRows[scatter(this.#batch) % smallRows.length] ?? 1);
    return Array.from({ length: rows }, () => this.#failure(nowMs));
  }

  /** Two rounds over all of them, one failure short of a ban; after that only new ones. */
  #subjectAt(index: number): number {
    return index < 2 * this.#subjects ? index % this.#subjects : index - this.#subjects;
  }

  #failure(nowMs: number): Failure {
    const index = this.#made;
    this.#made += 1;
    const isAttacker = index % attackerEvery === 0;
    const address = isAttacker ? attackerAddress(scatter(index) % attackers) : passerBy(this.#subjectAt(index));
    const atMs = nowMs - (scatter(index) % 2000);
    return { atMs, address, jail: index % 3 === 0 ? "postfix-sasl" : "sshd", count: 1 };
  }
}

/** Each in a network of its own, so that no rule about networks comes into play. */
export function attackerAddress(index: number): string {
  return `2001:db8:${index.toString(16)}::1`;
}

/** Spread over the whole of IPv4 as real ones are, all different, none reserved. */
function passerBy(index: number): string {
  const value = scatter(index + 1);
  return `${11 + ((value >>> 24) % 89)}.${(index >>> 16) & 255}.${(index >>> 8) & 255}.${index & 255}`;
}

/** Far from its neighbours, the same every time. Source: Knuth, multiplicative hashing. */
function scatter(index: number): number {
  const mixed = Math.imul(index ^ (index >>> 15), 0x9e3779b1) >>> 0;
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

export function hostOfAck(subject: string): string {
  return subject.split(".")[3] ?? "";
}
