import type { BanReason } from "./judge.ts";

const prefix = "feed ";

/** The feed that a ban is of; undefined when it is of none. */
export function feedOf(reason: BanReason): string | undefined {
  return reason.startsWith(prefix) ? reason.slice(prefix.length) : undefined;
}

export function reasonOfFeed(feed: string): `feed ${string}` {
  return `feed ${feed}`;
}
