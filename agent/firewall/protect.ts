import { addressBits, formatShort, type Net, overlaps, parseNet } from "../../shared/address.ts";
import { CidrTable } from "../../shared/cidr-table.ts";
import { Fleet2banError } from "../../shared/errors.ts";

/**
 * What this agent never bans, whoever orders it: the last line of defence when a coordinator errs or is taken over.
 * Pure; the addresses of this host come from `self-addresses.ts`.
 */
export type Protection = Readonly<{
  reserved: readonly Net[];
  /** Shortest prefix that may be banned. */
  widest: Readonly<{ ipv4: number; ipv6: number }>;
  /** Protected nets with the reason shown to the operator: `never list`, `gateway`, `resolver`, `coordinator` … */
  never: CidrTable<string>;
}>;

export type NeverNet = Readonly<{ net: string; why: string }>;

/** Not on the internet, or everybody: nothing a fleet can agree about. An operator whose attackers are inside may change it. */
export const reservedDefault: readonly string[] = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "224.0.0.0/3",
  "::/8",
  "fc00::/7",
  "fe80::/10",
  "ff00::/8",
];

/** A wider ban is a mistake far more often than a defence. */
export const widestDefault = { ipv4: 24, ipv6: 48 } as const;
/** What the coordinator's people order by hand may be wider: two of them agreed to it. Never wider than any policy may. */
const widestByHand = { ipv4: 8, ipv6: 16 } as const;

/** As many as the kernel's allow sets hold; a longer one is a routing table, not a list of friends. */
export const neverNetsMax = 8192;

/** @throws Fleet2banError `invalid` naming the entry that is not a network */
export function buildProtection(options: {
  never: Iterable<NeverNet>;
  reserved?: readonly string[];
  widest?: Protection["widest"];
}): Protection {
  const never = new CidrTable<string>();
  for (const { net, why } of options.never) {
    never.set(readNet(net, why), why);
    if (never.size > neverNetsMax) {
      throw new Fleet2banError("invalid", `never list: more than ${neverNetsMax} networks; write wider ones`);
    }
  }
  const reserved = (options.reserved ?? reservedDefault).map((text) => readNet(text, "reserved list"));
  return { reserved, widest: options.widest ?? widestDefault, never };
}

function readNet(text: string, place: string): Net {
  const net = parseNet(text);
  if (net === undefined) throw new Fleet2banError("invalid", `${place}: "${text}" is not an address or a network`);
  return net;
}

/**
 * Why this net must not be banned, as the end of the sentence "192.0.2.0/24 is not banned: it …"; undefined when it may.
 *
 * @param byHand  people of the coordinator ordered it, no rule of a policy
 */
export function refusal(net: Net, protection: Protection, byHand = false): string | undefined {
  const lasting = lastingRefusal(net, protection, byHand);
  if (lasting !== undefined) return lasting;
  const friend = protectedBy(net, protection.never);
  return friend === undefined ? undefined : `holds ${formatShort(friend.net)} (${friend.value})`;
}

/** The same, without what may end while the ban lasts: addresses change, sessions end. */
export function lastingRefusal(net: Net, protection: Protection, byHand = false): string | undefined {
  const limits = byHand ? widestByHand : protection.widest;
  const widest = net.family === 4 ? limits.ipv4 : limits.ipv6;
  if (net.prefix < widest) return `is wider than /${widest}`;
  const reserved = protection.reserved.find((each) => overlaps(each, net));
  return reserved === undefined ? undefined : `is in the reserved range ${formatShort(reserved)}`;
}

function protectedBy(net: Net, never: CidrTable<string>): Readonly<{ net: Net; value: string }> | undefined {
  for (const entry of never.covering(net)) return entry;
  // A whole address holds nothing smaller, and looking for it would scan the list.
  if (net.prefix < addressBits[net.family]) for (const entry of never.within(net)) return entry;
  return undefined;
}

/** What goes into the kernel's allow sets, so that even a ban that slipped through cuts none of it. */
export function protectedNets(protection: Protection): readonly string[] {
  return [...protection.never.entries()].map(({ net }) => formatShort(net));
}
