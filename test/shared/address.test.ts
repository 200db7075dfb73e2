import assert from "node:assert/strict";
import { isIPv6 } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import {
  contains,
  formatNet,
  formatShort,
  isNet,
  overlaps,
  parseAddress,
  parseNet,
  subjectOf,
  widen,
} from "../../shared/address.ts";

const net = (text: string) => {
  const parsed = parseNet(text);
  assert(parsed, `${text} is a network`);
  return parsed;
};

const canonical: readonly (readonly [string, string])[] = [
  ["192.0.2.1", "192.0.2.1/32"],
  ["255.255.255.255", "255.255.255.255/32"],
  ["0.0.0.0/0", "0.0.0.0/0"],
  ["192.0.2.7/24", "192.0.2.0/24"],
  ["2001:DB8::1", "2001:db8::1/128"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1/128"],
  ["::", "::/128"],
  ["1::", "1::/128"],
  ["::/0", "::/0"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221/128"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6/128"],
  ["2001:db8:0:1:2:3:4:5", "2001:db8:0:1:2:3:4:5/128"],
  ["2001:db8:ffff::/33", "2001:db8:8000::/33"],
  ["::ffff:192.0.2.1", "192.0.2.1/32"],
  ["::ffff:c000:201", "192.0.2.1/32"],
  ["::ffff:192.0.2.0/120", "192.0.2.0/24"],
];
for (const [text, expected] of canonical) {
  test(`reads ${text} as ${expected}`, () => assert.equal(formatNet(net(text)), expected));
}

const refused = [
  "010.0.0.1",
  "1.2.3",
  "0x7f.0.0.1",
  "1.2.3.4.5",
  "256.0.0.1",
  " 192.0.2.1",
  "192.0.2.1 ",
  "192.0.2.1/33",
  "192.0.2.1/-1",
  "192.0.2.1/08",
  "192.0.2.1/",
  "/24",
  "",
  "localhost",
  "fe80::1%eth0",
  "2001:db8::g",
  ":::",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7:192.0.2.1",
  "1:2:3:4:5:6:7:8::",
  "1::2::3",
  "1:2:3:4:5:6:7:",
  "::/129",
  "::ffff:192.0.2.0/64",
  "192.0.2.1/24/8",
  "192.0.2.1\n",
  "١٩٢.0.2.1",
];
for (const text of refused) {
  test(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseNet(text), undefined));
}

test("an address is not a network", () => assert.equal(parseAddress("192.0.2.0/24"), undefined));

test("a text with a colon is an address exactly where node:net says so, but for zone ids", () => {
  const pieces = [
    "0",
    "1",
    "a",
    "F",
    "ffff",
    "0db8",
    "12345",
    "g",
    ":",
    "::",
    "1.2.3.4",
    "256.1.1.1",
    ".",
    "%",
    "%eth0",
    " ",
  ];
  const texts = fc
    .array(fc.constantFrom(...pieces, ":", ":", "::ffff:"), { maxLength: 17 })
    .map((parts) => parts.join(""));
  const spelled = fc.oneof(texts, fc.ipV6());
  let addresses = 0;
  fc.assert(
    fc.property(spelled, (text) => {
      fc.pre(text.includes(":"));
      const expected = isIPv6(text) && !text.includes("%");
      addresses += expected ? 1 : 0;
      assert.equal(parseAddress(text) !== undefined, expected, text);
    }),
    { numRuns: 20_000 },
  );
  assert.ok(addresses > 1000, `${addresses} were addresses`);
});

test("every address survives being written and read again", () => {
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return seed;
  };
  for (let round = 0; round < 2000; round += 1) {
    let value = 0n;
    for (let part = 0; part < 4; part += 1) value = (value << 32n) | BigInt(random() % 3 === 0 ? 0 : random());
    const address = { family: 6, value, prefix: 128 } as const;
    if (value >> 32n !== 0xffffn) assert.deepEqual(parseNet(formatNet(address)), address);
  }
});

test("a network contains itself and its parts, never its neighbours or its parent", () => {
  assert(contains(net("192.0.2.0/24"), net("192.0.2.255")));
  assert(contains(net("192.0.2.0/24"), net("192.0.2.0/24")));
  assert(!contains(net("192.0.2.0/24"), net("192.0.3.0")));
  assert(!contains(net("192.0.2.0/24"), net("192.0.0.0/16")));
  assert(!contains(net("::/0"), net("192.0.2.1")), "families never contain each other");
});

test("networks overlap when either contains the other", () => {
  assert(overlaps(net("192.0.2.0/24"), net("192.0.0.0/16")));
  assert(overlaps(net("2001:db8::/32"), net("2001:db8::1")));
  assert(!overlaps(net("192.0.2.0/25"), net("192.0.2.128/25")));
});

test("an IPv6 address counts as its network, an IPv4 address as itself", () => {
  assert.equal(formatNet(subjectOf(net("2001:db8:1:2:3:4:5:6"), 64)), "2001:db8:1:2::/64");
  assert.equal(formatNet(subjectOf(net("192.0.2.9"), 64)), "192.0.2.9/32");
});

test("widening to a longer prefix changes nothing", () => {
  assert.equal(formatNet(widen(net("192.0.2.0/24"), 28)), "192.0.2.0/24");
});

test("people see whole addresses without their length", () => {
  assert.equal(formatShort(net("192.0.2.1/32")), "192.0.2.1");
  assert.equal(formatShort(net("2001:db8::/64")), "2001:db8::/64");
});

test("isNet says of every text what parseNet does", () => {
  const groups = fc.array(fc.constantFrom("0", "1", "db8", "2001", "ffff", "FFFF", "00ff", "12345", "", "g"), {
    maxLength: 9,
  });
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    groups.map((each) => each.join(":")),
    fc.ipV4().map((each) => `::ffff:${each}`),
    fc.constantFrom("010.0.0.1", "1.2.3", "fe80::1%eth0", "::", "::ffff:c000:201", "", " ::1"),
  );
  const length = fc.oneof(
    fc.integer({ min: -1, max: 140 }).map(String),
    fc.constantFrom("", "08", "00", "0", "1e1", " 8", "8 ", "+8", "1000", "٣"),
  );
  const text = fc.oneof(
    address,
    fc.tuple(address, length).map((each) => each.join("/")),
  );
  fc.assert(
    fc.property(text, (each) => isNet(each) === (parseNet(each) !== undefined)),
    { numRuns: 5_000 },
  );
});
