import { addressBits, type Net, parseNet } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import type { FirewallSetup } from "./firewall.ts";
import type { PlacedElement } from "./nftables-script.ts";

/** What `ipset restore` is told, a line at a time, with the ban that each is for: ipset names the line it refuses. */
export type Line = Readonly<{ text: string; net: string }>;

/**
 * ipset takes no timeout over 24.8 days, and 0 means for ever. A longer ban is written with this ceiling and again at
 * every rewrite of the queue (each six hours), so a dead agent's bans still end.
 */
const timeoutSecondsMax = 2_147_000;
/** The default is 65 536, which one list of known attackers fills. Memory is used only as it fills. */
const setElementsMax = 2_000_000;
/** Kinds: bans of all ports, bans of some (`p`), allowed networks (`w`). */
export function setName(family: 4 | 6, kind: "" | "p" | "w"): string {
  return `f2b${family}${kind}`;
}

export function createLine(family: 4 | 6, kind: "" | "p" | "w", suffix: "" | "_new" = ""): string {
  const type = kind === "p" ? "hash:net,port" : "hash:net";
  const timeout = kind === "w" ? "" : " timeout 0";
  const inet = family === 4 ? "inet" : "inet6";
  return `create ${setName(family, kind)}${suffix} ${type} family ${inet} maxelem ${setElementsMax}${timeout}`;
}

export function replaceLines(family: 4 | 6, kind: "w", adds: readonly string[]): readonly string[] {
  const name = setName(family, kind);
  const begin = [createLine(family, kind, "_new"), `flush ${name}_new`];
  return [...begin, ...adds, `swap ${name} ${name}_new`, `destroy ${name}_new`];
}

export function allowLines(setup: FirewallSetup, family: 4 | 6): readonly string[] {
  const nets = setup.allow.map((text): readonly [string, Net | undefined] => [text, parseNet(text)]);
  return nets.flatMap(([text, net]) => {
    if (net === undefined || net.prefix === 0) {
      throw new Fleet2banError("invalid", `firewall: the allow list has "${text}"; write addresses and networks only`);
    }
    return net.family === family ? [`add ${setName(family, "w")}_new ${text}`] : [];
  });
}

export function members(placed: PlacedElement): readonly string[] {
  const { family, prefix } = placed.set;
  return placed.members.map((member) => {
    const [address = "", protocol, port] = member.split(" . ");
    const net = prefix === addressBits[family] ? address : `${address}/${prefix}`;
    return protocol === undefined ? net : `${net},${protocol}:${port}`;
  });
}

export function timeoutSeconds(untilMs: number | null, nowMs: number): number {
  if (untilMs === null) return 0;
  return Math.min(Math.max(1, Math.ceil((untilMs - nowMs) / 1000) + 1), timeoutSecondsMax);
}

export function plain(text: string): Line {
  return { text, net: "" };
}
