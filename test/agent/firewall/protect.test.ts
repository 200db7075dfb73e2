import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { buildProtection, protectedNets, refusal, reservedDefault } from "../../../agent/firewall/protect.ts";
import { formatNet, type Net, overlaps, parseNet, widen } from "../../../shared/address.ts";

const net = (text: string): Net => {
  const parsed = parseNet(text);
  assert(parsed !== undefined);
  return parsed;
};
const protection = buildProtection({
  never: [
    { net: "198.51.100.1", why: "gateway" },
    { net: "2001:db8:5::/48", why: "never list" },
  ],
});

test("what a ban may not touch is refused with a reason, whoever orders it", () => {
  for (const [text, reason] of [
    ["198.51.100.1", "holds 198.51.100.1 (gateway)"],
    ["198.51.100.0/24", "holds 198.51.100.1 (gateway)"],
    ["2001:db8:5:1::/64", "holds 2001:db8:5::/48 (never list)"],
    ["2001:db8::/32", "is wider than /48"],
    ["0.0.0.0/0", "is wider than /24"],
    ["192.0.2.0/23", "is wider than /24"],
    ["10.1.2.3", "is in the reserved range 10.0.0.0/8"],
    ["fe80::1", "is in the reserved range fe80::/10"],
    ["255.255.255.255", "is in the reserved range 224.0.0.0/3"],
  ] as const) {
    assert.equal(refusal(net(text), protection), reason, text);
  }
});

test("everybody else may be banned, up to the widest net", () => {
  for (const text of ["198.51.100.2", "192.0.2.0/24", "2001:db8:6::/48", "2001:db8:6::1"]) {
    assert.equal(refusal(net(text), protection), undefined, text);
  }
});

test("what people of the coordinator order by hand may be wider, and touches what is protected no more than before", () => {
  assert.equal(refusal(net("203.0.0.0/16"), protection, true), undefined);
  assert.equal(refusal(net("2a00::/16"), protection, true), undefined);
  assert.equal(refusal(net("198.0.0.0/8"), protection, true), "holds 198.51.100.1 (gateway)");
  assert.equal(refusal(net("172.0.0.0/8"), protection, true), "is in the reserved range 172.16.0.0/12");
  assert.equal(refusal(net("0.0.0.0/0"), protection, true), "is wider than /8");
});

test("an operator may change the reserved ranges and the widest ban", () => {
  const own = buildProtection({ never: [], reserved: ["127.0.0.0/8"], widest: { ipv4: 16, ipv6: 32 } });
  assert.equal(refusal(net("10.1.0.0/16"), own), undefined);
  assert.equal(refusal(net("127.0.0.1"), own), "is in the reserved range 127.0.0.0/8");
});

test("an entry that is no network stops the start and names its list", () => {
  assert.throws(() => buildProtection({ never: [{ net: "web-1", why: "never list" }] }), /never list: "web-1" is not/);
});

test("no net that shares an address with a protected one is ever let through", () => {
  const anyNet = fc.oneof(
    fc
      .tuple(fc.nat(0xffffffff), fc.integer({ min: 0, max: 32 }))
      .map(([value, prefix]) => widen({ family: 4, value, prefix: 32 }, prefix)),
    fc
      .tuple(fc.bigInt(0n, (1n << 128n) - 1n), fc.integer({ min: 0, max: 128 }))
      .map(([value, prefix]) => widen({ family: 6, value, prefix: 128 }, prefix)),
  );
  const reserved = reservedDefault.map(net);
  fc.assert(
    fc.property(fc.array(anyNet, { maxLength: 8 }), anyNet, (never, asked) => {
      const built = buildProtection({ never: never.map((each) => ({ net: formatNet(each), why: "never list" })) });
      const touches = [...never, ...reserved].some((each) => overlaps(each, asked));
      const wide = asked.prefix < (asked.family === 4 ? 24 : 48);
      assert.equal(refusal(asked, built) !== undefined, touches || wide);
      assert.equal(protectedNets(built).length, new Set(never.map(formatNet)).size);
    }),
  );
});
