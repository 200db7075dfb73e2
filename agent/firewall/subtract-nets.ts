import { addressBits, contains, type Net, overlaps } from "../../shared/address.ts";

/**
 * `net` without the addresses of `holes`, as few networks as possible.
 *
 * @param piecesMax  when more pieces are needed, `net` comes back whole
 */
export function subtractNets(net: Net, holes: readonly Net[], piecesMax: number): readonly Net[] {
  const pieces: Net[] = [];
  return split(net, holes, pieces, piecesMax) ? pieces : [net];
}

/** @returns false when there are too many pieces */
function split(net: Net, holes: readonly Net[], pieces: Net[], piecesMax: number): boolean {
  const near = holes.filter((hole) => overlaps(hole, net));
  if (near.length === 0) return pieces.push(net) <= piecesMax;
  if (near.some((hole) => contains(hole, net))) return true;
  const [low, high] = halves(net);
  return split(low, near, pieces, piecesMax) && split(high, near, pieces, piecesMax);
}

function halves(net: Net): readonly [Net, Net] {
  const prefix = net.prefix + 1;
  if (net.family === 4) {
    return [
      { ...net, prefix },
      { ...net, prefix, value: net.value + 2 ** (addressBits[4] - prefix) },
    ];
  }
  return [
    { ...net, prefix },
    { ...net, prefix, value: net.value + (1n << BigInt(addressBits[6] - prefix)) },
  ];
}
