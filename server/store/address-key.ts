import { addressBits, type Net, parseNet } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";

/**
 * Failures are found by a number, because an index of numbers costs half of one of addresses: an IPv4 address's value,
 * or the upper 64 bits of an IPv6 address, as a signed bigint. What it finds is then compared as an address: two
 * addresses of one /64 have the same key, and the networks below ::1:0:0/32 share theirs with IPv4.
 */
export function ipv6Key(value: bigint): bigint {
  return BigInt.asIntN(64, value >> 64n);
}

/** The keys of all addresses of a net, from the first to the last; as text, which is how pg sends a bigint. */
export function keysOf(net: Net): readonly [from: string, to: string] {
  if (net.family === 4) return [String(net.value), String(net.value + 2 ** (addressBits[4] - net.prefix) - 1)];
  // Signed numbers begin with the upper half of the addresses.
  if (net.prefix === 0) return [String(-(2n ** 63n)), String(2n ** 63n - 1n)];
  const last = net.value | ((1n << BigInt(addressBits[6] - net.prefix)) - 1n);
  return [String(ipv6Key(net.value)), String(ipv6Key(last))];
}

/** The condition on failures of a net and what lies inside it; `place` is the number of the first of `keyValues`. */
export function withinKeys(place: number): string {
  return `address_key between $${place}::bigint and $${place + 1}::bigint and address <<= $${place + 2}::inet`;
}

/** @throws Fleet2banError `invalid` when the text is not a net */
export function keyValues(text: string): readonly string[] {
  const net = parseNet(text);
  if (net === undefined) throw new Fleet2banError("invalid", `"${text}" is not an address or network`);
  return [...keysOf(net), text];
}
