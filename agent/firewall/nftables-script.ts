import { addressBits, formatAddress, type Net, parseNet, widen } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import type { ElementName, FirewallSetup, Rejected } from "./firewall.ts";

/**
 * Renders what nft is told. Pure: the same script is fed to the kernel, printed by the observing backend and compared
 * in tests. One statement per line, because nft 1.0.6 refuses several on one line inside braces.
 */
export const tableName = "inet fleet2ban";

/**
 * Each prefix length in use is one more lookup per packet (measured: 0.18 µs at worst), so their number is bounded per
 * family and kind. Not which ones: an operator may ban any length that the protection lets through.
 */
export const prefixLengthsMax = 8;

/** Elements per line: long lines cost nft memory, short ones time. */
const lineElementsMax = 1000;

/** nft takes no timeout over some hundred years; nobody means more than ten. */
const timeoutSecondsMax = 10 * 365 * 86_400;

/** The kernel ends a ban this much later than the agent's store does, so that an explicit unban never races it. */
export const timeoutSlackSeconds = 1;

/** Networks in the allow sets. They are interval sets (they hold any prefix length), which nft handles well only when small. */
export const allowNetsMax = 8192;

/** One hash set: the nets of one family and prefix length, on every port or on some. */
export type BanSet = Readonly<{ family: 4 | 6; prefix: number; ports: boolean }>;

export function setName({ family, prefix, ports }: BanSet): string {
  const whole = prefix === addressBits[family];
  return `${ports ? "p" : whole ? "a" : "n"}${family}${whole ? "" : `_${prefix}`}`;
}

/** The set a name stands for; undefined for names that are not ours. */
export function parseSetName(name: string): BanSet | undefined {
  const [, kind, digit, length] = /^([apn])([46])(?:_(\d{1,3}))?$/.exec(name) ?? [];
  if (kind === undefined) return undefined;
  const family = digit === "4" ? 4 : 6;
  const set = {
    family,
    prefix: length === undefined ? addressBits[family] : Number(length),
    ports: kind === "p",
  } as const;
  return setName(set) === name ? set : undefined;
}

/** Sets that are always there; others are made when the first net of their length comes. */
export const baseSets: readonly BanSet[] = [
  { family: 4, prefix: 32, ports: false },
  { family: 6, prefix: 128, ports: false },
  // What the coordinator bans of IPv6 is a /64.
  { family: 6, prefix: 64, ports: false },
  { family: 4, prefix: 32, ports: true },
  { family: 6, prefix: 64, ports: true },
];

/** The whole table with its rules, bans kept. Run in one transaction, so that packets see the old rules or the new. */
export function tableScript(setup: FirewallSetup, sets: readonly BanSet[]): string {
  const lines = [
    `add table ${tableName}`,
    ...["all4", "all6", "net4", "net6", "port4", "port6"].map((name) => `add counter ${tableName} c_${name}`),
    `add set ${tableName} allow4 { type ipv4_addr; flags interval; }`,
    `add set ${tableName} allow6 { type ipv6_addr; flags interval; }`,
    ...sets.map(addSet),
    // Before connection tracking and destination NAT: established connections are cut, published container ports too.
    `add chain ${tableName} pre { type filter hook prerouting priority -310; policy accept; }`,
    `add chain ${tableName} refuse`,
    `flush chain ${tableName} pre`,
    `flush chain ${tableName} refuse`,
    `add rule ${tableName} refuse meta l4proto tcp reject with tcp reset`,
    `add rule ${tableName} refuse reject with icmpx admin-prohibited`,
    `add rule ${tableName} pre iif "lo" accept`,
    `add rule ${tableName} pre ip saddr @allow4 accept`,
    `add rule ${tableName} pre ip6 saddr @allow6 accept`,
    // Neighbours on our link, the way to the internet among them, must be found even when a ban holds their address.
    `add rule ${tableName} pre icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept`,
    ...sets.map((set) => addRule(set, setup)),
    `flush set ${tableName} allow4`,
    `flush set ${tableName} allow6`,
  ];
  for (const [name, members] of allowMembers(setup.allow)) lines.push(...addElements(name, members));
  return join(lines);
}

/** Makes one more set and its rule. The order among bans does not matter, so the rule goes to the end. */
export function newSetScript(set: BanSet, setup: FirewallSetup): string {
  return join([addSet(set), addRule(set, setup)]);
}

function addSet(set: BanSet): string {
  const address = `ipv${set.family}_addr`;
  const type = set.ports ? `${address} . inet_proto . inet_service` : address;
  return `add set ${tableName} ${setName(set)} { type ${type}; flags timeout; }`;
}

function addRule(set: BanSet, setup: FirewallSetup): string {
  const whole = set.prefix === addressBits[set.family];
  const address = `${set.family === 4 ? "ip" : "ip6"} saddr${whole ? "" : ` & ${maskText(set)}`}`;
  const key = set.ports ? `${address} . meta l4proto . th dport` : address;
  const counter = `c_${set.ports ? "port" : whole ? "all" : "net"}${set.family}`;
  const verdict = setup.verdict === "drop" ? "drop" : "goto refuse";
  return `add rule ${tableName} pre ${key} @${setName(set)} counter name "${counter}" ${verdict}`;
}

function maskText({ family, prefix }: BanSet): string {
  const ones: Net =
    family === 4
      ? { family, value: 0xffffffff, prefix: 32 }
      : { family, value: (1n << BigInt(addressBits[6])) - 1n, prefix: 128 };
  return formatAddress(widen(ones, prefix));
}

/** An element as the sets hold it: one member, or one per protocol and port. */
export type PlacedElement = Readonly<{ set: BanSet; net: string; members: readonly string[]; untilMs: number | null }>;

/**
 * Finds each element's set. Parsing here is also the barrier: nothing that is not an address reaches nft, which would
 * look names up in the DNS.
 */
export function placeElement(element: ElementName & { untilMs?: number | null }): PlacedElement | Rejected {
  const net = parseNet(element.net);
  if (net === undefined) return { net: element.net.slice(0, 64), reason: "is not an address or a network" };
  if (net.prefix === 0) return { net: element.net, reason: "is everyone" };
  const address = formatAddress(net);
  const set = { family: net.family, prefix: net.prefix, ports: element.ports !== null };
  const members: string[] = [];
  if (element.ports === null) members.push(address);
  else {
    for (const port of element.ports) {
      if (!Number.isInteger(port) || port < 1 || port > 65_535) {
        return { net: element.net, reason: `has a port that does not exist: ${port}` };
      }
      members.push(`${address} . tcp . ${port}`, `${address} . udp . ${port}`);
    }
  }
  return { set, net: element.net, members, untilMs: element.untilMs ?? null };
}

/** Statements for one transaction: what goes first, then what comes new, then what may be there with another end. */
export function changeScript(
  change: Readonly<{
    add: readonly PlacedElement[];
    renew: readonly PlacedElement[];
    remove: readonly PlacedElement[];
  }>,
  nowMs: number,
): string {
  const lines: string[] = [];
  // Deleting what is missing or just expired refuses the whole transaction, and adding does not change an end before
  // Linux 6.12: so both first make sure the member is there, for a second.
  for (const [name, members] of bySet([...change.remove, ...change.renew], () => "")) {
    const brief = members.map((member) => `${member} timeout 1s`);
    lines.push(...addElements(name, brief), ...addElements(name, members, "delete"));
  }
  const end = (element: PlacedElement) => timeoutText(element.untilMs, nowMs);
  for (const [name, members] of bySet([...change.add, ...change.renew], end)) lines.push(...addElements(name, members));
  return join(lines);
}

/** Empties the sets, drops those no longer used, fills the rest. Follows `tableScript` in the same transaction. */
export function replaceScript(
  used: readonly BanSet[],
  present: readonly BanSet[],
  elements: readonly PlacedElement[],
  nowMs: number,
): string {
  const names = new Set(used.map(setName));
  const flushes = used.map((set) => `flush set ${tableName} ${setName(set)}`);
  const drops = present.map(setName).filter((name) => !names.has(name));
  return (
    join([...flushes, ...drops.map((name) => `delete set ${tableName} ${name}`)]) +
    changeScript({ add: elements, renew: [], remove: [] }, nowMs)
  );
}

function bySet(
  elements: readonly PlacedElement[],
  suffix: (element: PlacedElement) => string,
): ReadonlyMap<string, string[]> {
  const sets = new Map<string, string[]>();
  for (const element of elements) {
    const name = setName(element.set);
    let members = sets.get(name);
    if (members === undefined) {
      members = [];
      sets.set(name, members);
    }
    const end = suffix(element);
    for (const member of element.members) members.push(member + end);
  }
  return sets;
}

function addElements(name: string, members: readonly string[], verb: "add" | "delete" = "add"): string[] {
  const lines: string[] = [];
  for (let at = 0; at < members.length; at += lineElementsMax) {
    lines.push(`${verb} element ${tableName} ${name} { ${members.slice(at, at + lineElementsMax).join(", ")} }`);
  }
  return lines;
}

function timeoutText(untilMs: number | null, nowMs: number): string {
  if (untilMs === null) return "";
  const seconds = Math.ceil((untilMs - nowMs) / 1000) + timeoutSlackSeconds;
  return ` timeout ${Math.min(Math.max(1, seconds), timeoutSecondsMax)}s`;
}

/** Interval sets refuse overlaps, so only the widest of nested networks stays. Also sorts, so that scripts compare. */
function allowMembers(allow: readonly string[]): readonly (readonly [string, readonly string[]])[] {
  const nets = allow.map((text) => {
    const net = parseNet(text);
    if (net === undefined) {
      throw new Fleet2banError("invalid", `firewall: the allow list has "${text}"; write addresses and networks only`);
    }
    return net;
  });
  if (nets.length > allowNetsMax) {
    throw new Fleet2banError(
      "invalid",
      `firewall: ${nets.length} allowed networks, at most ${allowNetsMax}; widen some`,
    );
  }
  return ([4, 6] as const).map((family) => {
    const bits = addressBits[family];
    const sorted = nets
      .filter((net) => net.family === family)
      .map((net) => ({ net, start: BigInt(net.value), end: BigInt(net.value) + (1n << BigInt(bits - net.prefix)) }))
      .toSorted((one, other) =>
        one.start === other.start ? one.net.prefix - other.net.prefix : one.start < other.start ? -1 : 1,
      );
    const members: string[] = [];
    let covered = -1n;
    for (const { net, end } of sorted) {
      if (end <= covered) continue;
      covered = end;
      members.push(net.prefix === bits ? formatAddress(net) : `${formatAddress(net)}/${net.prefix}`);
    }
    return [`allow${family}`, members] as const;
  });
}

function join(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
