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
  ListedElement,
  Rejected,
} from "./firewall.ts";
import {
  allowLines,
  createLine,
  type Line,
  members,
  plain,
  replaceLines,
  setName,
  timeoutSeconds,
} from "./ipset-lines.ts";
import { placeElement } from "./nftables-script.ts";
import { firstLine, type RunCommand } from "./run-command.ts";

export type IpsetPrograms = Readonly<{ ipset: string; iptables: string; ip6tables: string }>;

/** ipset names the one line it refuses, so each run finds one; a hopeless list ends here. */
const refusedLinesMax = 100;
const chain = "fleet2ban";
const families = [4, 6] as const;

/** Neighbours on our link, the way to the internet among them, must be found even when a ban holds their address. */
const neighbourTypes = ["neighbour-solicitation", "neighbour-advertisement", "router-advertisement"];

/** The fallback where nf_tables is missing: sets of networks, and rules in the raw table before connection tracking. */
export function ipsetBackend(run: RunCommand, programs: IpsetPrograms, now: () => number): FirewallBackend {
  return new Ipset(run, programs, now);
}

class Ipset implements FirewallBackend {
  readonly name = "ipset";
  readonly enforcing = true;
  readonly endsBans = true;
  /** Four processes. */
  readonly healthEveryMs = 30_000;
  readonly warnings = [
    "ipset: the verdict reject is not possible before connection tracking; packets are dropped",
    "ipset: bans longer than 24 days hold only while the agent runs at least once in that time",
  ];
  readonly #run: RunCommand;
  readonly #programs: IpsetPrograms;
  readonly #now: () => number;
  #fingerprint: string | undefined;

  constructor(run: RunCommand, programs: IpsetPrograms, now: () => number) {
    this.#run = run;
    this.#programs = programs;
    this.#now = now;
  }

  async open(setup: FirewallSetup): Promise<void> {
    const lines = families.flatMap((family) => [
      createLine(family, ""),
      createLine(family, "p"),
      createLine(family, "w"),
      ...replaceLines(family, "w", allowLines(setup, family)),
    ]);
    if ((await this.#restore(lines)) !== undefined) {
      // Sets of another make under our names: nothing in them can be kept.
      await this.teardown();
      await this.#mustRestore(lines);
    }
    for (const family of families) {
      const iptables = this.#iptables(family);
      const rules = [
        "*raw",
        `:${chain} - [0:0]`,
        `-A ${chain} -i lo -j RETURN`,
        `-A ${chain} -m set --match-set ${setName(family, "w")} src -j RETURN`,
        ...(family === 6 ? neighbourTypes.map((type) => `-A ${chain} -p icmpv6 --icmpv6-type ${type} -j RETURN`) : []),
        `-A ${chain} -m set --match-set ${setName(family, "")} src -j DROP`,
        `-A ${chain} -m set --match-set ${setName(family, "p")} src,dst -j DROP`,
        "COMMIT",
      ];
      await this.#must([`${iptables}-restore`, "-w", "5", "--noflush"], `${rules.join("\n")}\n`);
      const jump = ["PREROUTING", "-j", chain];
      const there = await this.#run([iptables, "-w", "5", "-t", "raw", "-C", ...jump]);
      if (there.code !== 0) await this.#must([iptables, "-w", "5", "-t", "raw", "-I", ...jump]);
    }
    this.#fingerprint = await this.#listRules();
  }

  async apply(change: FirewallChange): Promise<ApplyResult> {
    const rejected: Rejected[] = [];
    const lines = [
      ...this.#lines(change.remove, "del", "", rejected),
      ...this.#lines([...change.renew, ...change.add], "add", "", rejected),
    ];
    rejected.push(...(await this.#restoreOrRefuse((kept) => kept, lines)));
    const asked = change.add.length + change.renew.length + change.remove.length;
    return { applied: asked - rejected.length, rejected };
  }

  /** Fills new sets and swaps them in: packets meet the old content or the new. */
  async replaceAll(wanted: Iterable<Element>, setup: FirewallSetup): Promise<ApplyResult> {
    const elements = [...wanted];
    await this.open(setup);
    const rejected: Rejected[] = [];
    const lines = this.#lines(elements, "add", "_new", rejected);
    const frame = (kept: readonly Line[]) => {
      const sets = families.flatMap((family) => (["", "p"] as const).map((kind) => [family, kind] as const));
      const begin = sets.flatMap(([family, kind]) => [
        createLine(family, kind, "_new"),
        `flush ${setName(family, kind)}_new`,
      ]);
      const end = sets.flatMap(([family, kind]) => {
        const name = setName(family, kind);
        return [`swap ${name} ${name}_new`, `destroy ${name}_new`];
      });
      return [...begin.map(plain), ...kept, ...end.map(plain)];
    };
    rejected.push(...(await this.#restoreOrRefuse(frame, lines)));
    return { applied: elements.length - rejected.length, rejected };
  }

  async health(): Promise<Health> {
    const rules = await this.#listRules();
    if (rules === undefined) return "missing";
    return this.#fingerprint === undefined || rules === this.#fingerprint ? "ok" : "tampered";
  }

  async counters(): Promise<readonly Counter[]> {
    const counters: Counter[] = [];
    for (const family of families) {
      const command = [this.#iptables(family), "-w", "5", "-t", "raw", "-L", chain, "-n", "-v", "-x", "-Z"];
      const { stdout } = await this.#must(command);
      for (const [, packets, bytes, kind = ""] of stdout.matchAll(
        /^\s*(\d+)\s+(\d+)\s+DROP\b.*match-set f2b[46](p?) /gm,
      )) {
        const name = `${kind === "p" ? "port" : "all"}${family}`;
        counters.push({ name, packets: Number(packets), bytes: Number(bytes) });
      }
    }
    return counters;
  }

  async list(): Promise<readonly ListedElement[]> {
    const listed = new Map<string, ListedElement>();
    for (const family of families) {
      for (const kind of ["", "p"] as const) {
        const { stdout } = await this.#must([this.#programs.ipset, "save", setName(family, kind)]);
        for (const [, net = "", port, seconds = "0"] of stdout.matchAll(
          /^add \S+ ([^\s,]+)(?:,(?:tcp|udp):(\d+))?(?: timeout (\d+))?/gm,
        )) {
          const expiresInMs = seconds === "0" ? null : Number(seconds) * 1000;
          listed.set(`${net} ${port}`, { net, port: port === undefined ? null : Number(port), expiresInMs });
        }
      }
    }
    return [...listed.values()];
  }

  async teardown(): Promise<void> {
    for (const family of families) {
      const iptables = [this.#iptables(family), "-w", "5", "-t", "raw"];
      // What is already gone is no mistake.
      for (const words of [
        ["-D", "PREROUTING", "-j", chain],
        ["-F", chain],
        ["-X", chain],
      ]) {
        await this.#run([...iptables, ...words]);
      }
      for (const kind of ["", "p", "w"] as const)
        await this.#run([this.#programs.ipset, "destroy", setName(family, kind)]);
    }
    this.#fingerprint = undefined;
  }

  #iptables(family: 4 | 6): string {
    return family === 4 ? this.#programs.iptables : this.#programs.ip6tables;
  }

  #lines(
    elements: readonly (Element | ElementName)[],
    verb: "add" | "del",
    suffix: "" | "_new",
    rejected: Rejected[],
  ): readonly Line[] {
    const nowMs = this.#now();
    return elements.flatMap((element) => {
      const placed = placeElement(element);
      if ("reason" in placed) {
        rejected.push(placed);
        return [];
      }
      const ended = placed.untilMs !== null && placed.untilMs <= nowMs;
      // A computed rest of 0 would mean for ever.
      if (ended && suffix !== "") return [];
      const timeout = verb === "del" || ended ? "" : ` timeout ${timeoutSeconds(placed.untilMs, nowMs)}`;
      const name = setName(placed.set.family, placed.set.ports ? "p" : "") + suffix;
      const what = ended ? "del" : verb;
      return members(placed).map((member) => ({ text: `${what} ${name} ${member}${timeout}`, net: placed.net }));
    });
  }

  /** Restores, without the lines that ipset refuses. Repeating all is right, since a refused run leaves any part of it. */
  async #restoreOrRefuse(
    frame: (kept: readonly Line[]) => readonly Line[],
    lines: readonly Line[],
  ): Promise<readonly Rejected[]> {
    const refused = new Map<string, Rejected>();
    for (let times = 0; times < refusedLinesMax; times += 1) {
      const script = frame(lines.filter(({ net }) => !refused.has(net)));
      if (script.length === 0) return [...refused.values()];
      const problem = await this.#restore(script.map(({ text }) => text));
      if (problem === undefined) return [...refused.values()];
      const at = Number(/in line (\d+)/.exec(problem)?.[1] ?? Number.NaN);
      const net = script[at - 1]?.net;
      if (net === undefined || net === "") throw unavailable(problem);
      refused.set(net, { net, reason: problem });
    }
    throw unavailable(`more than ${refusedLinesMax} elements are refused`);
  }

  async #restore(lines: readonly string[]): Promise<string | undefined> {
    const result = await this.#run([this.#programs.ipset, "restore", "-exist"], `${lines.join("\n")}\n`);
    return result.code === 0 ? undefined : firstLine(result);
  }

  async #mustRestore(lines: readonly string[]): Promise<void> {
    const problem = await this.#restore(lines);
    if (problem !== undefined) throw unavailable(problem);
  }

  async #must(command: readonly string[], stdin?: string) {
    const result = await this.#run(command, stdin);
    if (result.code !== 0) throw unavailable(firstLine(result));
    return result;
  }

  /** Our rules and the jump to them; undefined when they are not there. */
  async #listRules(): Promise<string | undefined> {
    let text = "";
    for (const family of families) {
      const iptables = [this.#iptables(family), "-w", "5", "-t", "raw"];
      const rules = await this.#run([...iptables, "-S", chain]);
      const jump = await this.#run([...iptables, "-C", "PREROUTING", "-j", chain]);
      if (rules.code !== 0 || jump.code !== 0) return undefined;
      text += rules.stdout;
    }
    return text;
  }
}

function unavailable(problem: string): Fleet2banError {
  return new Fleet2banError("unavailable", `ipset: ${problem}; are ip_set and the iptables raw table there?`);
}
