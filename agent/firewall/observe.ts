import {
  type ApplyResult,
  type Counter,
  type Element,
  elementKey,
  type FirewallBackend,
  type FirewallChange,
  type FirewallSetup,
  type Health,
  type ListedElement,
  type Rejected,
} from "./firewall.ts";
import {
  baseSets,
  changeScript,
  type PlacedElement,
  placeElement,
  replaceScript,
  setName,
  tableScript,
} from "./nftables-script.ts";

/** Elements printed of a long change; the rest is a number. */
const printedElementsMax = 20;

/** Stops nothing: shows what nftables would be told, and keeps count, so that a policy can be watched before it bites. */
export function observingBackend(print: (text: string) => void, now: () => number): FirewallBackend {
  return new Observing(print, now);
}

class Observing implements FirewallBackend {
  readonly name = "observe";
  readonly enforcing = false;
  readonly endsBans = true;
  readonly healthEveryMs = 60_000;
  readonly warnings = ["observing only: no packet is stopped"];
  readonly #print: (text: string) => void;
  readonly #now: () => number;
  readonly #elements = new Map<string, Element>();

  constructor(print: (text: string) => void, now: () => number) {
    this.#print = print;
    this.#now = now;
  }

  async open(setup: FirewallSetup): Promise<void> {
    this.#show("open", tableScript(setup, baseSets));
  }

  async apply(change: FirewallChange): Promise<ApplyResult> {
    const rejected: Rejected[] = [];
    const place = (elements: readonly (Element | Omit<Element, "untilMs">)[]): readonly PlacedElement[] =>
      elements.flatMap((element) => {
        const placed = placeElement(element);
        if (!("reason" in placed)) return placed;
        rejected.push(placed);
        return [];
      });
    const placed = { add: place(change.add), renew: place(change.renew), remove: place(change.remove) };
    const refused = new Set(rejected.map(({ net }) => net));
    for (const element of change.remove) this.#elements.delete(elementKey(element));
    for (const element of [...change.add, ...change.renew]) {
      if (!refused.has(element.net)) this.#elements.set(elementKey(element), element);
    }
    const printed = {
      add: placed.add.slice(0, printedElementsMax),
      renew: placed.renew.slice(0, printedElementsMax),
      remove: placed.remove.slice(0, printedElementsMax),
    };
    const counts = `add=${placed.add.length} renew=${placed.renew.length} remove=${placed.remove.length}`;
    const sets = new Set([...placed.add, ...placed.renew, ...placed.remove].map((each) => setName(each.set)));
    const all = [placed.add, placed.renew, placed.remove];
    const more = all.reduce((sum, each) => sum + Math.max(0, each.length - printedElementsMax), 0);
    const script = changeScript(printed, this.#now()) + (more === 0 ? "" : `# … and ${more} more\n`);
    this.#show(`${counts} sets=${[...sets].join(",")}`, script);
    const asked = change.add.length + change.renew.length + change.remove.length;
    return { applied: asked - rejected.length, rejected };
  }

  async replaceAll(wanted: Iterable<Element>, setup: FirewallSetup): Promise<ApplyResult> {
    this.#elements.clear();
    this.#show("replace", tableScript(setup, baseSets) + replaceScript(baseSets, [], [], this.#now()));
    return this.apply({ add: [...wanted], renew: [], remove: [] });
  }

  async health(): Promise<Health> {
    return "ok";
  }

  async counters(): Promise<readonly Counter[]> {
    return [];
  }

  async list(): Promise<readonly ListedElement[]> {
    const nowMs = this.#now();
    return [...this.#elements.values()].flatMap(({ net, ports, untilMs }) => {
      if (untilMs !== null && untilMs <= nowMs) return [];
      const expiresInMs = untilMs === null ? null : untilMs - nowMs;
      return (ports ?? [null]).map((port) => ({ net, port, expiresInMs }));
    });
  }

  async teardown(): Promise<void> {
    this.#elements.clear();
  }

  #show(summary: string, script: string): void {
    this.#print(`# would run: nft -f - (${summary})\n${script}`);
  }
}
