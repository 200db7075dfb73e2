import type { Net } from "../../shared/address.ts";
import {
  type Entries,
  type Entry,
  fullWindow,
  insert,
  jailsOf,
  newEntries,
  stride,
  type Tally,
  tally,
  type Window,
} from "./entries.ts";
import { EntryStore, type Place } from "./entry-store.ts";
import { horizonsOf, type JailPolicy, type Policy } from "./policy.ts";

/** Subjects that wait at once, over all tenants: about 200 MB. Beyond, a waiting one is forgotten for each new one. */
const subjectsMax = 2_500_000;
/** Subjects looked over per new one: twice as many leave as can come, so memory follows what is alive. */
const sweepSubjects = 2;
/**
 * Entries of a subject that never fills a window: two failures an hour in each of several jails. More are only needed by
 * a larger policy.
 */
const entriesLeast = 256;

/** A window that is full: the failures' hosts, and whether it also counts for the fleet (see `Weight`). */
export type Incident = Readonly<{
  /** null = spread. */
  jail: number | null;
  failures: number;
  hosts: readonly number[];
  forFleet: boolean;
}>;

/** One window as it stands, for an admin who asks. */
export type OpenWindow = Tally & Readonly<{ jail: number | null }>;

/**
 * Failures that count, by tenant and subject. Everything is judged by the failures' own dates, so it does not matter
 * in which order or how late they come; what was dropped for good is too old for any window a late one may open.
 */
export class Windows {
  readonly #places = new Map<number | bigint, Place>();
  readonly #store = new EntryStore();
  readonly #policy: Policy;
  readonly #jailPolicyOf: (jail: number) => JailPolicy;
  readonly #keepMs: number;
  readonly #entriesMax: number;
  #sweep = this.#places.entries();

  constructor(policy: Policy, jailPolicyOf: (jail: number) => JailPolicy) {
    this.#policy = policy;
    this.#jailPolicyOf = jailPolicyOf;
    this.#keepMs = horizonsOf(policy).failuresMs;
    const needed = [policy.defaultJail, ...policy.jails.values()].map((jail) => 4 * jail.maxretry);
    this.#entriesMax = Math.max(entriesLeast, ...needed, 4 * (policy.spread?.hosts ?? 0));
  }

  get size(): number {
    return this.#places.size;
  }

  /**
   * Adds a failure and says whether it fills a window. A full window empties all windows of the subject in the tenant.
   *
   * @param coveredUntilMs  end of the latest ban that covers the subject; the caller has kept out failures up to it
   */
  add(tenant: number, subject: Net, entry: Entry, coveredUntilMs: number, nowMs: number): Incident | undefined {
    const key = keyOf(tenant, subject);
    const known = this.#entriesOf(key);
    const settledMs = Math.max(known?.[0] ?? Number.NEGATIVE_INFINITY, coveredUntilMs);
    if (entry.atMs <= settledMs) return undefined;
    const [entries, position] = this.#put(key, known, entry, nowMs);
    if (position < 1) return undefined;
    const incident = this.#incident(entries, position, entry.jail, settledMs);
    if (incident !== undefined) this.#remove(key);
    return incident;
  }

  /** Adds a failure that was judged before: whatever it filled then is known from the bans and settlements. */
  remember(tenant: number, subject: Net, entry: Entry, nowMs: number): void {
    const key = keyOf(tenant, subject);
    this.#put(key, this.#entriesOf(key), entry, nowMs);
  }

  /** Failures of the subject in the tenant dated up to `untilMs` count no more. */
  settle(tenant: number, subject: Net, untilMs: number): void {
    const key = keyOf(tenant, subject);
    const entries = this.#entriesOf(key) ?? [untilMs];
    entries[0] = Math.max(entries[0] ?? untilMs, untilMs);
    this.#keep(key, entries);
  }

  /** The windows that end now and hold something: one per jail, and the spread's. */
  open(tenant: number, subject: Net, coveredUntilMs: number, nowMs: number): readonly OpenWindow[] {
    const entries = this.#entriesOf(keyOf(tenant, subject));
    if (entries === undefined || entries.length === 1) return [];
    const settledMs = Math.max(entries[0] ?? 0, coveredUntilMs);
    const last = entries.length - stride;
    const open = (jail: number | null, spanMs: number): OpenWindow => ({
      jail,
      ...tally(entries, last, nowMs - spanMs, { jail, spanMs, settledMs, onlyForFleet: false }),
    });
    const jails = [...jailsOf(entries)].map((jail) => open(jail, this.#jailPolicyOf(jail).findtimeMs));
    const spread = this.#policy.spread === null ? [] : [open(null, this.#policy.spread.findtimeMs)];
    return [...jails, ...spread].filter((window) => window.failures > 0);
  }

  #put(key: number | bigint, known: Entries | undefined, entry: Entry, nowMs: number): [Entries, number] {
    if (known === undefined) {
      const entries = newEntries(Number.NEGATIVE_INFINITY, entry);
      this.#keep(key, entries);
      this.#sweepSome(nowMs);
      return [entries, 1];
    }
    const [entries, position] = insert(known, entry, nowMs - this.#keepMs, this.#entriesMax);
    this.#keep(key, entries);
    return [entries, position];
  }

  #entriesOf(key: number | bigint): Entries | undefined {
    const place = this.#places.get(key);
    return place === undefined ? undefined : this.#store.get(place);
  }

  #keep(key: number | bigint, entries: Entries): void {
    const before = this.#places.get(key);
    const place = this.#store.put(entries, before);
    if (place !== before) this.#places.set(key, place);
  }

  #remove(key: number | bigint): void {
    const place = this.#places.get(key);
    if (place === undefined) return;
    this.#store.remove(place);
    this.#places.delete(key);
  }

  #incident(entries: Entries, position: number, jail: number, settledMs: number): Incident | undefined {
    const { findtimeMs, maxretry } = this.#jailPolicyOf(jail);
    const { spread } = this.#policy;
    const inJail: Window = { jail, spanMs: findtimeMs, settledMs, onlyForFleet: false };
    const byCount = (found: Tally) => found.failures >= maxretry;
    const full = fullWindow(entries, position, inJail, byCount);
    if (full !== undefined) {
      const forFleet = fullWindow(entries, position, { ...inJail, onlyForFleet: true }, byCount) !== undefined;
      return { jail, failures: full.failures, hosts: full.hosts, forFleet };
    }
    if (spread === null) return undefined;
    const anyJail: Window = { jail: null, spanMs: spread.findtimeMs, settledMs, onlyForFleet: false };
    const byHosts = (found: Tally) => found.hosts.length >= spread.hosts;
    const wide = fullWindow(entries, position, anyJail, byHosts);
    if (wide === undefined) return undefined;
    const forFleet = fullWindow(entries, position, { ...anyJail, onlyForFleet: true }, byHosts) !== undefined;
    return { jail: null, failures: wide.failures, hosts: wide.hosts, forFleet };
  }

  #sweepSome(nowMs: number): void {
    for (let count = 0; count < sweepSubjects; count += 1) {
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = this.#places.entries();
        return;
      }
      const [key, place] = next.value;
      if (nowMs - this.#store.lastMs(place) > this.#keepMs || this.#places.size > subjectsMax) this.#remove(key);
    }
  }
}

/**
 * Tenant and subject as one number (exact up to two million tenants), or one bigint. V8 hashes a bigint by its lowest
 * 64 bits alone, which are zero in an IPv6 network: the network's bits are laid over them. IPv4 is signed, so that the
 * first tenant's keys, most often all there are, take no place in the heap.
 */
function keyOf(tenant: number, subject: Net): number | bigint {
  if (subject.family === 4) return tenant * 0x1_0000_0000 + (subject.value | 0);
  return (BigInt(tenant) << 128n) | (subject.value ^ (subject.value >> 64n));
}
