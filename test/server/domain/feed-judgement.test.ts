import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type AcceptedList,
  type FeedGuard,
  type FeedLimits,
  judgeList,
  type RefusedList,
} from "../../../server/domain/feed-judgement.ts";
import { contains, formatNet, formatShort, type Net, overlaps, parseNet } from "../../../shared/address.ts";
import { defaultPolicy } from "./story.ts";

const netOf = (text: string): Net => {
  const net = parseNet(text);
  assert.ok(net, text);
  return net;
};
const guardOf = (more: Partial<Record<"nevers" | "allows", readonly string[]>> = {}): FeedGuard => ({
  reserved: defaultPolicy.reserved,
  widest: defaultPolicy.limits.widestBan,
  nevers: (more.nevers ?? []).map(netOf),
  allows: (more.allows ?? []).map(netOf),
});
const limits: FeedLimits = { entriesMax: 1000, lastListed: null };
const addresses = (count: number) => Array.from({ length: count }, (_, index) => `198.51.${index >> 8}.${index & 255}`);

function accepted(lines: readonly string[], guard = guardOf(), given = limits): AcceptedList {
  const judged = judgeList(lines.join("\n"), guard, given);
  assert.equal(judged.kind, "accepted", judged.kind === "refused" ? judged.sentence : "");
  return judged as AcceptedList;
}
function refused(lines: readonly string[], guard = guardOf(), given = limits): RefusedList {
  const judged = judgeList(lines.join("\n"), guard, given);
  assert.equal(judged.kind, "refused");
  return judged as RefusedList;
}

test("up to two lines of a hundred may be no addresses; one more, and it is not a list", () => {
  const list = (bad: number) => [...addresses(100 - bad), ...Array.from({ length: bad }, () => "oops")];
  assert.equal(accepted(list(2)).badLines, 2);
  const { why, sentence } = refused(list(3));
  assert.equal(why, "grammar");
  assert.match(sentence, /^3 of 100 lines are neither address nor network, the first is line 98: "oops"/);
});

test("an empty list is refused, one of comments alone as well", () => {
  assert.equal(refused([""]).why, "empty");
  assert.equal(refused(["# gone", "; sorry"]).why, "empty");
});

test("whoever lists everybody lists nobody: wider than any policy may ban", () => {
  for (const net of ["0.0.0.0/0", "::/0", "128.0.0.0/7", "2000::/3"]) {
    assert.equal(refused([...addresses(500), net]).why, "everybody", net);
  }
});

test("a list may grow and shrink by 30 %, a short one by ten entries, and no further", () => {
  const since = (lastListed: number) => ({ ...limits, lastListed });
  for (const count of [70, 100, 130]) accepted(addresses(count), guardOf(), since(100));
  for (const count of [69, 131])
    assert.equal(refused(addresses(count), guardOf(), since(100)).why, "changed", `${count}`);
  for (const count of [2, 22]) accepted(addresses(count), guardOf(), since(12));
  for (const count of [1, 23]) assert.equal(refused(addresses(count), guardOf(), since(12)).why, "changed", `${count}`);
  assert.match(refused(addresses(131), guardOf(), since(100)).sentence, /--accept-size/);
});

test("entries that share an address with a reserved or never-listed one are left out and counted, whichever is wider", () => {
  const guard = guardOf({ nevers: ["203.0.113.0/24", "192.0.2.9"] });
  const list = [...addresses(200), "10.0.0.0/8", "203.0.113.7", "192.0.2.0/28", "fe80::/64"];
  const { entries, leftOut, examples } = accepted(list, guard);
  assert.equal(entries.length, 200);
  assert.deepEqual([leftOut.reserved, leftOut.never], [2, 2]);
  assert.deepEqual(examples.never, ["203.0.113.7", "192.0.2.0/28"]);
});

test("a list of which too much is protected is not about the internet", () => {
  const bogons = Array.from({ length: 21 }, (_, index) => `10.0.${index}.0/24`);
  accepted([...addresses(400), ...bogons.slice(1)]);
  assert.equal(refused([...addresses(400), ...bogons]).why, "protected");
  accepted([...addresses(3), "10.0.0.0/8"]);
  assert.equal(refused([...addresses(2), "10.0.0.0/8"]).why, "protected");
});

test("what the fleet allows and what is wider than one may ban is left out and counted; it is no crime of the list's", () => {
  const guard = guardOf({ allows: ["198.51.0.0/24"] });
  const { entries, leftOut, listed } = accepted([...addresses(300), "61.177.0.0/16", "2001:db8::/32"], guard);
  assert.deepEqual([entries.length, leftOut.allowed, leftOut.wide, listed], [44, 256, 2, 302]);
});

test("more entries than the feed may have are refused, not cut off", () => {
  assert.equal(refused(addresses(1001)).why, "too-many");
  assert.equal(accepted(addresses(1000)).entries.length, 1000);
});

test("entries come in few lengths, because a firewall looks each one up for every packet", () => {
  const { entries, leftOut } = accepted(["192.0.2.0/30", "198.51.100.128/25", "2001:db8:0:4::/63", "2001:db8::/80"]);
  const parts = ["192.0.2.0/32", "192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"];
  assert.deepEqual(
    entries.map(formatNet).filter((net) => net.endsWith("/32")),
    parts,
  );
  assert.equal(entries.filter((net) => net.prefix === 28).length, 8);
  assert.deepEqual(entries.filter((net) => net.family === 6).map(formatNet), [
    "2001:db8:0:4::/64",
    "2001:db8:0:5::/64",
  ]);
  assert.equal(leftOut.unusual, 1);
});

const anyNet = fc
  .tuple(fc.nat({ max: 0xffffffff }), fc.integer({ min: 8, max: 32 }))
  .map(([value, prefix]) =>
    formatShort(netOf(`${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}/${prefix}`)),
  );

test("whatever a list says: nothing protected, nothing too wide and nothing it does not name is banned", () => {
  fc.assert(
    fc.property(
      fc.array(anyNet, { minLength: 1, maxLength: 40 }),
      fc.array(anyNet, { maxLength: 5 }),
      fc.array(anyNet, { maxLength: 5 }),
      (list, nevers, allows) => {
        const guard = guardOf({ nevers, allows });
        const judged = judgeList(list.join("\n"), guard, { ...limits, entriesMax: 100_000 });
        if (judged.kind === "refused") return;
        for (const entry of judged.entries) {
          assert.ok(entry.prefix >= 24, formatNet(entry));
          for (const net of [...guard.nevers, ...guard.reserved]) assert.ok(!overlaps(net, entry), formatNet(entry));
          assert.ok(!guard.allows.some((net) => contains(net, entry)));
          assert.ok(list.some((net) => contains(netOf(net), entry)));
        }
      },
    ),
  );
});
