import { formatNet, parseNet } from "../../shared/address.ts";
import type { RememberedFailure } from "../domain/judge.ts";

/** IPv4 addresses are kept as numbers; this one stands for "see the other nets". */
const notIpv4 = 0xffff_ffff;

/**
 * Many failures in little room: a million take 30 MB as columns of numbers and ten times that as objects with texts of
 * their own. Iterating makes one object at a time.
 */
export class PackedFailures implements Iterable<RememberedFailure> {
  #length = 0;
  #atMs = new Float64Array(1024);
  #net = new Uint32Array(1024);
  #host = new Uint32Array(1024);
  #jail = new Uint32Array(1024);
  #count = new Uint32Array(1024);
  /** By number: tenant and host belong together, jail and weight do not but are few. */
  readonly #hosts = new Numbers<readonly [tenant: string, host: string]>();
  readonly #jails = new Numbers<readonly [jail: string, weight: RememberedFailure["weight"]]>();
  /** Nets that are not single IPv4 addresses, by the failure's place. */
  readonly #otherNets = new Map<number, string>();

  get length(): number {
    return this.#length;
  }

  push({ atMs, tenant, host, jail, weight, net, count }: RememberedFailure): void {
    if (this.#length === this.#atMs.length) this.#grow();
    const place = this.#length;
    const parsed = parseNet(net);
    const isAddress = parsed?.family === 4 && parsed.prefix === 32 && parsed.value !== notIpv4;
    if (!isAddress) this.#otherNets.set(place, net);
    this.#net[place] = isAddress ? parsed.value : notIpv4;
    this.#atMs[place] = atMs;
    this.#host[place] = this.#hosts.numberOf(`${tenant} ${host}`, [tenant, host]);
    this.#jail[place] = this.#jails.numberOf(`${weight} ${jail}`, [jail, weight]);
    this.#count[place] = count;
    this.#length += 1;
  }

  *[Symbol.iterator](): Generator<RememberedFailure> {
    for (let place = 0; place < this.#length; place += 1) {
      const [tenant, host] = this.#hosts.at(this.#host[place] ?? 0);
      const [jail, weight] = this.#jails.at(this.#jail[place] ?? 0);
      const net = this.#otherNets.get(place) ?? formatNet({ family: 4, value: this.#net[place] ?? 0, prefix: 32 });
      yield { weight, atMs: this.#atMs[place] ?? 0, tenant, host, jail, net, count: this.#count[place] ?? 0 };
    }
  }

  #grow(): void {
    const length = this.#atMs.length * 2;
    const copy = <T extends Float64Array | Uint32Array>(longer: T, old: T): T => {
      longer.set(old);
      return longer;
    };
    this.#atMs = copy(new Float64Array(length), this.#atMs);
    this.#net = copy(new Uint32Array(length), this.#net);
    this.#host = copy(new Uint32Array(length), this.#host);
    this.#jail = copy(new Uint32Array(length), this.#jail);
    this.#count = copy(new Uint32Array(length), this.#count);
  }
}

/** Gives each different value a number. */
class Numbers<T> {
  readonly #numbers = new Map<string, number>();
  readonly #values: T[] = [];

  numberOf(key: string, value: T): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.#numbers.set(key, this.#values.length);
    return this.#values.push(value) - 1;
  }

  at(number: number): T {
    const value = this.#values[number];
    if (value === undefined) throw new RangeError(`no value has the number ${number}`);
    return value;
  }
}
