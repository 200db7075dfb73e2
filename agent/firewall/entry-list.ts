import { type Net, overlaps, parseNet } from "../../shared/address.ts";
import {
  type ApplyResult,
  type Element,
  type ElementName,
  elementKey,
  type FirewallBackend,
  type FirewallChange,
  type FirewallSetup,
  type Health,
  type ListedElement,
  type Rejected,
} from "./firewall.ts";
import { placeElement } from "./nftables-script.ts";

/**
 * A firewall manager that only keeps a list of entries: no ends, no transactions, no exceptions inside a network.
 * What it lacks is made up for here, as far as it can be.
 */
export type EntryDriver = Readonly<{
  name: "firewalld" | "ufw";
  warnings: readonly string[];
  /** More than these are refused, because each costs too much. */
  entriesMax: number;
  /** The entry that stops this element; several elements may share one. */
  entryOf(element: ElementName): string;
  prepare(): Promise<void>;
  /** Entries of ours that are there. */
  present(): Promise<readonly string[]>;
  /** @returns entries that were refused */
  add(entries: readonly string[]): Promise<readonly string[]>;
  remove(entries: readonly string[]): Promise<void>;
  /** Ends what is established: these managers let it pass. */
  cut(nets: readonly string[]): Promise<void>;
  running(): Promise<boolean>;
  teardown(): Promise<void>;
}>;

export function entryListBackend(driver: EntryDriver, now: () => number): FirewallBackend {
  return new EntryList(driver, now);
}

class EntryList implements FirewallBackend {
  readonly enforcing = true;
  readonly endsBans = false;
  /** Each look takes these managers half a second. */
  readonly healthEveryMs = 90_000;
  readonly name: EntryDriver["name"];
  readonly warnings: readonly string[];
  readonly #driver: EntryDriver;
  readonly #now: () => number;
  /** Elements in force, by entry and then by their own key. */
  #entries = new Map<string, Map<string, Element>>();
  #allow: readonly Net[] = [];

  constructor(driver: EntryDriver, now: () => number) {
    this.#driver = driver;
    this.#now = now;
    this.name = driver.name;
    this.warnings = driver.warnings;
  }

  async open(setup: FirewallSetup): Promise<void> {
    this.#allow = setup.allow.flatMap((text) => parseNet(text) ?? []);
    await this.#driver.prepare();
    const shielded = [...this.#entries.values()]
      .flatMap((elements) => [...elements.values()])
      .filter((element) => this.#holdsAllowed(element.net));
    if (shielded.length > 0) await this.apply({ add: [], renew: [], remove: shielded });
  }

  async apply(change: FirewallChange): Promise<ApplyResult> {
    const rejected: Rejected[] = [];
    const gone = new Set<string>();
    for (const element of change.remove) {
      const entry = this.#driver.entryOf(element);
      const elements = this.#entries.get(entry);
      if (!elements?.delete(elementKey(element)) || elements.size > 0) continue;
      this.#entries.delete(entry);
      gone.add(entry);
    }
    if (gone.size > 0) await this.#driver.remove([...gone]);
    const fresh = new Map<string, Element>();
    for (const element of [...change.renew, ...change.add]) this.#take(element, fresh, rejected);
    if (fresh.size > 0) {
      for (const entry of await this.#driver.add([...fresh.keys()])) {
        this.#entries.delete(entry);
        rejected.push({ net: fresh.get(entry)?.net ?? entry, reason: `was refused by ${this.name}` });
      }
      await this.#driver.cut([...fresh.values()].map(({ net }) => net));
    }
    const asked = change.add.length + change.renew.length + change.remove.length;
    return { applied: asked - rejected.length, rejected };
  }

  async replaceAll(wanted: Iterable<Element>, setup: FirewallSetup): Promise<ApplyResult> {
    const elements = [...wanted];
    this.#allow = setup.allow.flatMap((text) => parseNet(text) ?? []);
    await this.#driver.prepare();
    this.#entries = new Map();
    const rejected: Rejected[] = [];
    const all = new Map<string, Element>();
    for (const element of elements) this.#take(element, all, rejected);
    const present = new Set(await this.#driver.present());
    const stale = [...present].filter((entry) => !all.has(entry));
    if (stale.length > 0) await this.#driver.remove(stale);
    const missing = [...all.keys()].filter((entry) => !present.has(entry));
    if (missing.length > 0) {
      for (const entry of await this.#driver.add(missing)) {
        this.#entries.delete(entry);
        rejected.push({ net: all.get(entry)?.net ?? entry, reason: `was refused by ${this.name}` });
      }
      await this.#driver.cut(missing.flatMap((entry) => all.get(entry)?.net ?? []));
    }
    return { applied: elements.length - rejected.length, rejected };
  }

  async health(): Promise<Health> {
    if (!(await this.#driver.running())) return "missing";
    const present = new Set(await this.#driver.present());
    const same = present.size === this.#entries.size && [...this.#entries.keys()].every((entry) => present.has(entry));
    return same ? "ok" : "tampered";
  }

  async counters() {
    return [];
  }

  async list(): Promise<readonly ListedElement[]> {
    const nowMs = this.#now();
    const elements = [...this.#entries.values()].flatMap((each) => [...each.values()]);
    return elements.flatMap(({ net, ports, untilMs }) => {
      const expiresInMs = untilMs === null ? null : Math.max(0, untilMs - nowMs);
      return (ports ?? [null]).map((port) => ({ net, port, expiresInMs }));
    });
  }

  async teardown(): Promise<void> {
    this.#entries = new Map();
    await this.#driver.teardown();
  }

  #take(element: Element, fresh: Map<string, Element>, rejected: Rejected[]): void {
    if (element.untilMs !== null && element.untilMs <= this.#now()) return;
    const placed = placeElement(element);
    if ("reason" in placed) {
      rejected.push(placed);
      return;
    }
    if (this.#holdsAllowed(element.net)) {
      rejected.push({ net: element.net, reason: `holds an allowed address, which ${this.name} cannot except` });
      return;
    }
    const entry = this.#driver.entryOf(element);
    let elements = this.#entries.get(entry);
    if (elements === undefined) {
      if (this.#entries.size >= this.#driver.entriesMax) {
        rejected.push({
          net: element.net,
          reason: `is over the ${this.#driver.entriesMax} bans that ${this.name} can hold`,
        });
        return;
      }
      elements = new Map();
      this.#entries.set(entry, elements);
      fresh.set(entry, element);
    }
    elements.set(elementKey(element), element);
  }

  #holdsAllowed(text: string): boolean {
    const net = parseNet(text);
    return net !== undefined && this.#allow.some((allowed) => overlaps(allowed, net));
  }
}
