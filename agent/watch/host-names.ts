import { lookup } from "node:dns/promises";
import { formatAddress, parseAddress } from "../../shared/address.ts";
import { minuteMs, secondMs } from "../../shared/durations.ts";
import type { FoundFailure } from "../filters/found-failure.ts";
import type { UseDns } from "../settings/jail-settings.ts";

/** As fail2ban's DNS cache: an attacker who controls names must not make us ask for every line. */
const cacheMs = 5 * minuteMs;
const cacheMax = 1000;
/** A resolver that hangs must not hold up the log. */
const lookupTimeoutMs = 5 * secondMs;

const cache = new Map<string, Readonly<{ atMs: number; addresses: readonly string[] }>>();

/**
 * A failure of a name as failures of its addresses, if the jail resolves names; none when it does not or cannot. Whoever
 * owns a name decides where it points, so jails do this only when their configuration says so.
 */
export async function namesOf(found: FoundFailure, useDns: UseDns): Promise<readonly FoundFailure[]> {
  if (found.name === null || found.ip !== null) return [found];
  if (useDns === "raw") return [found];
  if (useDns === "no") return [];
  const addresses = await addressesOf(found.name);
  return addresses.map((address) => ({ ...found, id: address, ip: address }));
}

/** The addresses of a name, canonical; none when it has none or the resolver does not answer. */
export async function addressesOf(name: string): Promise<readonly string[]> {
  const known = cache.get(name);
  const nowMs = performance.now();
  if (known !== undefined && nowMs - known.atMs < cacheMs) return known.addresses;
  const addresses = await resolve(name);
  const oldest = cache.keys().next();
  if (cache.size >= cacheMax && !oldest.done) cache.delete(oldest.value);
  cache.set(name, { atMs: nowMs, addresses });
  return addresses;
}

async function resolve(name: string): Promise<readonly string[]> {
  const timeout = Promise.withResolvers<readonly string[]>();
  const timer = setTimeout(() => timeout.resolve([]), lookupTimeoutMs);
  const asked = lookup(name, { all: true }).then(
    (answers) => answers.flatMap(({ address }) => canonical(address)),
    () => [],
  );
  const addresses = await Promise.race([asked, timeout.promise]);
  clearTimeout(timer);
  return [...new Set(addresses)];
}

function canonical(text: string): readonly string[] {
  const net = parseAddress(text);
  return net === undefined ? [] : [formatAddress(net)];
}
