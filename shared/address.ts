/**
 * A network: one IPv4 or IPv6 address is the network of full length. `value` is the network address with its host
 * bits zero. IPv4 is a number and IPv6 a bigint because numbers are many times faster and most addresses are IPv4.
 */
export type Net =
  | Readonly<{ family: 4; value: number; prefix: number }>
  | Readonly<{ family: 6; value: bigint; prefix: number }>;

/** Bits of a whole address, by family. */
export const addressBits = { 4: 32, 6: 128 } as const;

/** `::ffff:0:0/96`: IPv4 written as IPv6. Logs hold it, firewalls never match it, so it becomes IPv4. */
const mappedPrefix = 0xffffn;
const [dotCode, zeroCode, nineCode, colonCode, letterACode] = [46, 48, 57, 58, 97] as const;

/**
 * Reads one address, strictly: `010.0.0.1`, `1.2.3`, `0x7f.1`, zone ids and surrounding blanks are refused, because
 * a lenient reader lets one address pass an allow list as another.
 */
export function parseAddress(text: string): Net | undefined {
  const value4 = ipv4Value(text);
  if (value4 >= 0) return { family: 4, value: value4, prefix: 32 };
  const value = ipv6Value(text);
  if (value < 0n) return undefined;
  if (value >> 32n === mappedPrefix) return { family: 4, value: Number(value & 0xffffffffn), prefix: 32 };
  return { family: 6, value, prefix: 128 };
}

/** Reads an address or `address/prefix`; host bits are cleared (`192.0.2.7/24` is `192.0.2.0/24`, as fail2ban reads it). */
export function parseNet(text: string): Net | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return parseAddress(text);
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits)) return undefined;
  const address = parseAddress(text.slice(0, slash));
  if (address === undefined) return undefined;
  const mapped = address.family === 4 && text.includes(":");
  const prefix = Number(digits) - (mapped ? 96 : 0);
  return prefix >= 0 && prefix <= addressBits[address.family] ? widen(address, prefix) : undefined;
}

/** Whether `parseNet` can read it, in a third of the time: a snapshot holds a hundred thousand. */
export function isNet(text: string): boolean {
  const slash = text.indexOf("/");
  const address = slash < 0 ? text : text.slice(0, slash);
  const length = slash < 0 ? 0 : lengthOf(text, slash + 1);
  if (ipv4Value(address) >= 0) return length <= addressBits[4];
  // IPv4 written as IPv6 has another rule for its length.
  if (address.includes(".") || /ffff/i.test(address)) return parseNet(text) !== undefined;
  return length <= addressBits[6] && ipv6Value(address) >= 0n;
}

/** The number that begins at `start` and is all that follows; more than any length when it is none. */
function lengthOf(text: string, start: number): number {
  const digits = text.length - start;
  if (digits < 1 || digits > 3 || (digits > 1 && text.charCodeAt(start) === 48)) return Number.POSITIVE_INFINITY;
  let value = 0;
  for (let index = start; index < text.length; index += 1) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return Number.POSITIVE_INFINITY;
    value = value * 10 + digit;
  }
  return value;
}

/** The network of this prefix length around `net`. A longer prefix than its own leaves `net` as it is. */
export function widen(net: Net, prefix: number): Net {
  if (prefix >= net.prefix) return net;
  if (net.family === 4) {
    const mask = prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
    return { family: 4, value: (net.value & mask) >>> 0, prefix };
  }
  const hostBits = BigInt(128 - prefix);
  return { family: 6, value: (net.value >> hostBits) << hostBits, prefix };
}

/** Whether every address of `inner` is one of `outer`. */
export function contains(outer: Net, inner: Net): boolean {
  return (
    outer.family === inner.family && outer.prefix <= inner.prefix && widen(inner, outer.prefix).value === outer.value
  );
}

/** Whether the two networks share an address. */
export function overlaps(one: Net, other: Net): boolean {
  return contains(one, other) || contains(other, one);
}

/** The canonical text of an address without its length: `192.0.2.1`, `2001:db8::1` (RFC 5952). */
export function formatAddress(net: Net): string {
  if (net.family === 4) {
    const value = net.value;
    return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
  }
  return formatIpv6(net.value);
}

/** The canonical text with its length, always: `192.0.2.1/32`. This is the form of the wire, the database and the API. */
export function formatNet(net: Net): string {
  return `${formatAddress(net)}/${net.prefix}`;
}

/** For people and firewalls: whole addresses without their length, networks with it. */
export function formatShort(net: Net): string {
  return net.prefix === addressBits[net.family] ? formatAddress(net) : formatNet(net);
}

/** What is counted and banned for this address: an IPv4 address itself, an IPv6 address's network (one customer, one /64). */
export function subjectOf(address: Net, ipv6Prefix: number): Net {
  return address.family === 4 ? address : widen(address, ipv6Prefix);
}

/** -1 when it is no strict IPv4. By hand: agent and coordinator read each failure's address, and `isIPv4` is a regex. */
export function ipv4Value(text: string): number {
  const { length } = text;
  if (length < 7 || length > 15) return -1;
  let value = 0;
  let part = 0;
  let digits = 0;
  let dots = 0;
  for (let index = 0; index < length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === dotCode) {
      if (digits === 0 || dots === 3) return -1;
      value = value * 256 + part;
      part = 0;
      digits = 0;
      dots += 1;
      continue;
    }
    // A leading zero is octal to some and decimal to others.
    if (code < zeroCode || code > nineCode || (digits > 0 && part === 0)) return -1;
    part = part * 10 + code - zeroCode;
    digits += 1;
    if (part > 255) return -1;
  }
  return dots === 3 && digits > 0 ? value * 256 + part : -1;
}

/** The address read last, or to be written: eight groups of 16 bits. */
const groups = new DataView(new ArrayBuffer(16));
const groupsMax = 8;

/**
 * -1n when it is no IPv6 address. By hand, as for IPv4: `isIPv6` is a regex that takes longer to compile than a
 * thousand addresses take here. A zone id (`fe80::1%eth0`) names an interface, not an address.
 */
function ipv6Value(text: string): bigint {
  const { length } = text;
  if (length < 2 || length > 45) return -1n;
  let count = 0;
  /** The group before which `::` stands. */
  let gap = -1;
  let at = 0;
  if (text.charCodeAt(0) === colonCode) {
    if (text.charCodeAt(1) !== colonCode) return -1n;
    gap = 0;
    at = 2;
  }
  while (at < length) {
    const end = hexEnd(text, at);
    if (text.charCodeAt(end) === dotCode) {
      const tail = ipv4Value(text.slice(at));
      if (tail < 0 || count > groupsMax - 2) return -1n;
      groups.setUint32(count * 2, tail);
      count += 2;
      break;
    }
    if (end === at || end - at > 4 || count === groupsMax) return -1n;
    groups.setUint16(count * 2, hexValue(text, at, end));
    count += 1;
    if (end === length) break;
    if (text.charCodeAt(end) !== colonCode) return -1n;
    at = end + 1;
    if (text.charCodeAt(at) === colonCode) {
      if (gap >= 0) return -1n;
      gap = count;
      at += 1;
    } else if (at === length) return -1n;
  }
  if (gap < 0 ? count !== groupsMax : count === groupsMax) return -1n;
  if (gap >= 0) spread(gap, count);
  return (groups.getBigUint64(0) << 64n) | groups.getBigUint64(8);
}

/** Moves what follows `::` to the end and puts zeros between. */
function spread(gap: number, count: number): void {
  const moved = groupsMax - count;
  for (let group = groupsMax - 1; group >= gap; group -= 1) {
    groups.setUint16(group * 2, group - moved >= gap ? groups.getUint16((group - moved) * 2) : 0);
  }
}

function hexEnd(text: string, from: number): number {
  let end = from;
  while (hexDigit(text.charCodeAt(end)) >= 0) end += 1;
  return end;
}

function hexValue(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at += 1) value = value * 16 + hexDigit(text.charCodeAt(at));
  return value;
}

/** -1 for any other character, and beyond the end. */
function hexDigit(code: number): number {
  if (code >= zeroCode && code <= nineCode) return code - zeroCode;
  const letter = (code | 0x20) - letterACode;
  return letter >= 0 && letter < 6 ? letter + 10 : -1;
}

function formatIpv6(value: bigint): string {
  groups.setBigUint64(0, value >> 64n);
  groups.setBigUint64(8, value);
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < groupsMax; start += 1) {
    let length = 0;
    while (start + length < groupsMax && groups.getUint16((start + length) * 2) === 0) length += 1;
    if (length > bestLength) [bestStart, bestLength] = [start, length];
  }
  if (bestStart < 0) return hexOf(0, groupsMax);
  return `${hexOf(0, bestStart)}::${hexOf(bestStart + bestLength, groupsMax)}`;
}

function hexOf(from: number, to: number): string {
  let text = "";
  for (let group = from; group < to; group += 1) {
    text += `${group > from ? ":" : ""}${groups.getUint16(group * 2).toString(16)}`;
  }
  return text;
}
