import { type Net, widen } from "../../shared/address.ts";
import type { Policy } from "./policy.ts";

/**
 * Into how many parts coordinators share the work: subjects by their network, hosts by their name. A part has one owner
 * at a time. More than coordinators anybody will run, few enough that one coordinator alone does not notice.
 */
export const partitionCount = 8;

/** The networks whose subjects stay together: bans of one may lead to a ban of the network they lie in. */
const widest = { 4: 24, 6: 48 } as const;

/** Who owns this partition judges `net`. What the policy adds up, by subject or by network, is never in two partitions. */
export function partitionOf(net: Net, policy: Policy): number {
  const subject = net.family === 4 ? 32 : policy.ipv6Prefix;
  const network = widen(net, Math.min(widest[net.family], policy.networks[net.family]?.prefix ?? subject, subject));
  const number =
    network.family === 4
      ? network.value
      : Number(BigInt.asUintN(32, network.value >> 96n)) ^ Number(BigInt.asUintN(32, network.value >> 64n));
  // Neighbouring networks are attacked together: multiply by 2^32 / golden ratio, of which the high bits are well mixed.
  return (Math.imul(number, 0x9e3779b1) >>> 16) % partitionCount;
}

/** Whose batches the owner of this partition takes in. The same sum as nats-server's `partition()`: FNV-1a of 32 bits. */
export function partitionOfHost(host: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < host.length; index += 1) hash = Math.imul(hash ^ host.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % partitionCount;
}
