import { Fleet2banError } from "../../shared/errors.ts";
import type {
  ApplyResult,
  Counter,
  Element,
  ElementName,
  FirewallBackend,
  FirewallChange,
  FirewallSetup,
  Health,
  Rejected,
} from "./firewall.ts";
import { listElements } from "./nftables-list.ts";
import {
  type BanSet,
  baseSets,
  changeScript,
  newSetScript,
  type PlacedElement,
  placeElement,
  replaceScript,
  setName,
  tableName,
  tableScript,
} from "./nftables-script.ts";
import { bySetName, chooseSets, isBounded, presentSets } from "./nftables-sets.ts";
import { firstLine, type RunCommand } from "./run-command.ts";

/** nft needs about 0.42 kB per member of a transaction: 4 MB, which the smallest VPS has. */
export const batchElementsMax = 10_000;
/** A replacement is one transaction as long as nft needs less than 100 MB for it. */
export const replaceElementsMax = 200_000;
/** Each failed batch is halved until what is refused stands alone; a hopeless one ends after some two seconds. */
const bisectRunsMax = 300;

/** As `nft list` prints the named ones. */
const countersPattern = /^\tcounter c_(\w+) \{[^}]*?packets (\d+) bytes (\d+)/gm;
/** `nft get` fails whenever anybody's tables change while it reads. */
const getTriesMax = 10;

/** Whatever is there under our name goes, and nothing is no mistake. */
const freshTable = `add table ${tableName}\ndelete table ${tableName}\n`;

type Placed = { add: PlacedElement[]; renew: PlacedElement[]; remove: PlacedElement[]; rejected: Rejected[] };
type Step = Readonly<{ kind: "add" | "renew" | "remove"; element: PlacedElement }>;

/**
 * Our own table through `nft -f -`, one process per batch. The table is never listed with its elements while running:
 * with nft 1.0.6 every plain `list` dumps all of them (0.9 CPU seconds at 100 000).
 *
 * @param nft  path of the program
 */
export function nftablesBackend(run: RunCommand, nft: string, now: () => number): FirewallBackend {
  return new Nftables(run, nft, now);
}

class Nftables implements FirewallBackend {
  readonly name = "nftables";
  readonly enforcing = true;
  readonly endsBans = true;
  /** A foreign flush is to be no holiday for attackers; one check is 7 ms of CPU. */
  readonly healthEveryMs = 15_000;
  readonly warnings: readonly string[] = [];
  readonly #run: RunCommand;
  readonly #nft: string;
  readonly #now: () => number;
  #setup: FirewallSetup = { verdict: "drop", allow: [] };
  #sets = new Map<string, BanSet>();
  /** Our table as it was listed right after we made it, handles included. */
  #fingerprint: string | undefined;
  /** By name, as the kernel has counted them. */
  #counted = new Map<string, Counter>();

  constructor(run: RunCommand, nft: string, now: () => number) {
    this.#run = run;
    this.#nft = nft;
    this.#now = now;
  }

  async open(setup: FirewallSetup): Promise<void> {
    const table = await this.#printTable();
    // What was counted before this agent is not its count.
    if (this.#fingerprint === undefined && table !== undefined) this.#countGrowth(table);
    const sets = bySetName([...baseSets, ...presentSets(table)]);
    const script = tableScript(setup, [...sets.values()]);
    const result = isBounded(table) ? "sets with a size" : await this.#feed(script);
    // A table of another make under our name: nothing in it can be kept.
    if (result !== undefined) await this.#mustFeed(freshTable + script);
    await this.#made(setup, sets);
  }

  async apply(change: FirewallChange): Promise<ApplyResult> {
    const placed = this.#place(change);
    const news = [...placed.add, ...placed.renew];
    const rejected = [...placed.rejected];
    const { sets, refused } = chooseSets(this.#sets, news);
    const created = [...sets.values()].filter((set) => !this.#sets.has(setName(set)));
    if (created.length > 0) {
      await this.#mustFeed(created.map((set) => newSetScript(set, this.#setup)).join(""));
      await this.#made(this.#setup, sets);
    }
    rejected.push(...refused.values());
    const known = (element: PlacedElement) => this.#sets.has(setName(element.set));
    const steps: Step[] = [];
    for (const kind of ["remove", "renew", "add"] as const) {
      for (const element of placed[kind]) if (known(element)) steps.push({ kind, element });
    }
    const budget = { runs: bisectRunsMax };
    for (const chunk of chunks(steps)) rejected.push(...(await this.#applyChunk(chunk, budget)));
    const asked = change.add.length + change.renew.length + change.remove.length;
    return { applied: asked - rejected.length, rejected };
  }

  async replaceAll(wanted: Iterable<Element>, setup: FirewallSetup): Promise<ApplyResult> {
    const placed = this.#place({ add: [...wanted], renew: [], remove: [] });
    const before = await this.#listTable();
    const fresh = isBounded(before) ? freshTable : "";
    const present = fresh === "" ? presentSets(before) : [];
    const { sets, refused } = chooseSets(bySetName(baseSets), placed.add);
    const elements = placed.add.filter((element) => sets.has(setName(element.set)));
    const used = [...sets.values()];
    const table = fresh + tableScript(setup, used);
    const split = firstWithin(elements, replaceElementsMax);
    const whole = table + replaceScript(used, present, elements.slice(0, split), this.#now());
    let rest = elements.slice(split);
    if ((await this.#feed(whole)) !== undefined) {
      // Either one element is refused or this kernel takes no transaction of this size: in small steps, then.
      const empty = table + replaceScript(used, present, [], this.#now());
      if ((await this.#feed(empty)) !== undefined) {
        await this.#mustFeed(freshTable + table);
      }
      rest = elements;
    }
    await this.#made(setup, sets);
    const rejected = [...placed.rejected, ...refused.values()];
    const budget = { runs: bisectRunsMax };
    for (const chunk of chunks(rest.map((element) => ({ kind: "add", element }) as const))) {
      rejected.push(...(await this.#applyChunk(chunk, budget)));
    }
    return { applied: placed.add.length + placed.rejected.length - rejected.length, rejected };
  }

  async health(): Promise<Health> {
    const table = await this.#listTable();
    if (table === undefined) return "missing";
    return this.#fingerprint === undefined || table === this.#fingerprint ? "ok" : "tampered";
  }

  async counters(): Promise<readonly Counter[]> {
    // Not `nft reset`, which loses what it has read when anybody's tables change meanwhile.
    const table = await this.#printTable();
    if (table === undefined) throw unavailable("our table is gone");
    return this.#countGrowth(table);
  }

  async holds(element: ElementName): Promise<boolean> {
    const placed = placeElement(element);
    if ("reason" in placed) return false;
    const place = [...tableName.split(" "), setName(placed.set), `{ ${placed.members.join(", ")} }`];
    for (let triesLeft = getTriesMax; ; triesLeft -= 1) {
      const result = await this.#run([this.#nft, "get", "element", ...place]);
      if (result.code === 0) return true;
      if (/No such file or directory/.test(result.stderr)) return false;
      if (triesLeft <= 1 || !/Interrupted system call/.test(result.stderr)) throw unavailable(firstLine(result));
    }
  }

  list() {
    return listElements(this.#run, this.#nft);
  }

  async teardown(): Promise<void> {
    await this.#mustFeed(freshTable);
    this.#sets = new Map();
    this.#fingerprint = undefined;
  }

  #place(change: FirewallChange): Placed {
    const nowMs = this.#now();
    const placed: Placed = { add: [], renew: [], remove: [], rejected: [] };
    for (const kind of ["remove", "renew", "add"] as const) {
      for (const element of change[kind]) {
        const place = placeElement(element);
        if ("reason" in place) placed.rejected.push(place);
        else if (place.untilMs === null || place.untilMs > nowMs) placed[kind].push(place);
        // It ended on the way here: an earlier, longer one must not stay.
        else if (kind === "renew") placed.remove.push(place);
      }
    }
    return placed;
  }

  async #applyChunk(steps: readonly Step[], budget: { runs: number }): Promise<readonly Rejected[]> {
    const of = (kind: Step["kind"]) => steps.filter((step) => step.kind === kind).map((step) => step.element);
    const script = changeScript({ add: of("add"), renew: of("renew"), remove: of("remove") }, this.#now());
    const problem = await this.#feed(script);
    if (problem === undefined) return [];
    // The first failure asks whether anything can work at all; halving a batch for a table that is gone helps nobody.
    if (budget.runs === bisectRunsMax && (await this.health()) !== "ok") throw unavailable(problem);
    budget.runs -= 1;
    if (steps.length === 1 || budget.runs <= 0) {
      return steps.map((step) => ({ net: step.element.net, reason: problem }));
    }
    const middle = steps.length >> 1;
    const first = await this.#applyChunk(steps.slice(0, middle), budget);
    return [...first, ...(await this.#applyChunk(steps.slice(middle), budget))];
  }

  /** Our table without its elements and counts; undefined when there is none. */
  async #listTable(): Promise<string | undefined> {
    // Newer versions of nft also print how many elements a set has.
    return (await this.#printTable())?.replace(/packets \d+ bytes \d+|# count \d+/g, "");
  }

  /** Our table without its elements; undefined when there is none. */
  async #printTable(): Promise<string | undefined> {
    const result = await this.#run([this.#nft, "-a", "-t", "list", "ruleset"]);
    if (result.code !== 0) throw unavailable(firstLine(result));
    const start = result.stdout.search(new RegExp(`^table ${tableName} \\{`, "m"));
    return start < 0 ? undefined : result.stdout.slice(start, result.stdout.indexOf("\n}", start));
  }

  /** What was counted since the last call; a table made anew counts from 0. */
  #countGrowth(table: string): Counter[] {
    return Array.from(table.matchAll(countersPattern), ([, name = "", packets, bytes]) => {
      const now = { name, packets: Number(packets), bytes: Number(bytes) };
      const known = this.#counted.get(name);
      this.#counted.set(name, now);
      if (known === undefined || known.packets > now.packets) return now;
      return { name, packets: now.packets - known.packets, bytes: now.bytes - known.bytes };
    });
  }

  async #made(setup: FirewallSetup, sets: ReadonlyMap<string, BanSet>): Promise<void> {
    this.#setup = setup;
    this.#sets = new Map(sets);
    this.#fingerprint = await this.#listTable();
  }

  /** @returns what went wrong, undefined when all of it stands */
  async #feed(script: string): Promise<string | undefined> {
    if (script === "") return undefined;
    const result = await this.#run([this.#nft, "-f", "-"], script);
    return result.code === 0 ? undefined : firstLine(result);
  }

  async #mustFeed(script: string): Promise<void> {
    const problem = await this.#feed(script);
    if (problem !== undefined) throw unavailable(problem);
  }
}

function unavailable(problem: string): Fleet2banError {
  const remedy = /not permitted|must be root/i.test(problem)
    ? "run as root or give the service CAP_NET_ADMIN"
    : "see `nft list tables`; is the nf_tables module loaded?";
  return new Fleet2banError("unavailable", `nftables: ${problem}; ${remedy}`);
}

function firstWithin(elements: readonly PlacedElement[], membersMax: number): number {
  let members = 0;
  const over = elements.findIndex((element) => {
    members += element.members.length;
    return members > membersMax;
  });
  return over < 0 ? elements.length : over;
}

function* chunks(steps: readonly Step[]): Generator<readonly Step[]> {
  let start = 0;
  let members = 0;
  for (const [index, step] of steps.entries()) {
    members += step.element.members.length;
    if (members <= batchElementsMax || index === start) continue;
    yield steps.slice(start, index);
    start = index;
    members = step.element.members.length;
  }
  if (start < steps.length) yield steps.slice(start);
}
