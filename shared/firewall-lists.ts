import * as shape from "./shape.ts";

/** What a host's firewall counts apart, with the words people read. Networks and single addresses, IPv4 and IPv6. */
export const firewallLists = {
  all4: "IPv4 addresses",
  all6: "IPv6 addresses",
  net4: "IPv4 networks",
  net6: "IPv6 networks",
  port4: "IPv4 on some ports",
  port6: "IPv6 on some ports",
} as const;
export type FirewallList = keyof typeof firewallLists;

/** Lists in one report; a newer agent may have some that this side does not know. */
const listsMax = 16;

const count = shape.int().check(shape.nonnegative());

/** What a host's firewall has stopped since its agent started, list by list; lists that stopped nothing are left out. */
export const BlockedCounts = shape
  .array(shape.object({ list: shape.string().check(shape.regex(/^[a-z0-9-]{1,24}$/)), packets: count, bytes: count }))
  .check(shape.maxLength(listsMax));
export type BlockedCounts = Readonly<shape.infer<typeof BlockedCounts>>;

/** `all4` in words; a name this side does not know stays as it is. */
export function nameOfList(list: string): string {
  return Object.hasOwn(firewallLists, list) ? firewallLists[list as FirewallList] : list;
}
