import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { subtractNets } from "../../../agent/firewall/subtract-nets.ts";
import { contains, formatNet, type Net, parseNet, widen } from "../../../shared/address.ts";

const net = (text: string): Net => {
  const parsed = parseNet(text);
  assert(parsed !== undefined);
  return parsed;
};

test("a network without a hole is the fewest networks around it, in both families", () => {
  const left = (whole: string, ...holes: string[]) => subtractNets(net(whole), holes.map(net), 999).map(formatNet);
  assert.deepEqual(left("192.0.2.0/29", "192.0.2.5"), ["192.0.2.0/30", "192.0.2.4/32", "192.0.2.6/31"]);
  assert.deepEqual(left("2001:db8::/127", "2001:db8::1"), ["2001:db8::/128"]);
  assert.deepEqual(left("192.0.2.0/29", "192.0.0.0/16"), []);
  assert.deepEqual(left("192.0.2.0/29", "198.51.100.1", "2001:db8::1"), ["192.0.2.0/29"]);
});

test("a network that would fall into too many pieces stays whole", () => {
  assert.deepEqual(subtractNets(net("192.0.2.0/24"), [net("192.0.2.7")], 7), [net("192.0.2.0/24")]);
  assert.equal(subtractNets(net("192.0.2.0/24"), [net("192.0.2.7")], 8).length, 8);
});

test("every address of the network is in exactly one of holes and pieces", () => {
  const address = fc.nat(63).map((value): Net => ({ family: 4, value: 0xc0000200 + value, prefix: 32 }));
  const hole = fc.tuple(address, fc.integer({ min: 26, max: 32 })).map(([each, prefix]) => widen(each, prefix));
  fc.assert(
    fc.property(fc.array(hole, { maxLength: 6 }), address, (holes, each) => {
      const pieces = subtractNets(net("192.0.2.0/26"), holes, 999);
      const inPieces = pieces.filter((piece) => contains(piece, each)).length;
      assert.equal(inPieces, holes.some((one) => contains(one, each)) ? 0 : 1);
    }),
  );
});
