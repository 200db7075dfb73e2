import assert from "node:assert/strict";
import { test } from "node:test";
import { formatNet, parseNet } from "../../shared/address.ts";
import { CidrTable } from "../../shared/cidr-table.ts";

const net = (text: string) => {
  const parsed = parseNet(text);
  assert(parsed, `${text} is a network`);
  return parsed;
};
const tableOf = (...texts: string[]) => {
  const table = new CidrTable<string>();
  for (const text of texts) table.set(net(text), text);
  return table;
};
const names = (entries: Iterable<Readonly<{ value: string }>>) => [...entries].map((entry) => entry.value).toSorted();

test("finds every network around an address", () => {
  const table = tableOf("0.0.0.0/0", "192.0.0.0/16", "192.0.2.0/24", "192.0.2.1", "192.0.3.0/24");
  assert.deepEqual(names(table.covering(net("192.0.2.1"))), ["0.0.0.0/0", "192.0.0.0/16", "192.0.2.0/24", "192.0.2.1"]);
});

test("a network is covered only when all of it is", () => {
  const table = tableOf("192.0.2.0/25");
  assert(!table.covers(net("192.0.2.0/24")));
  assert(table.overlaps(net("192.0.2.0/24")), "a ban of the whole would hit the part");
});

test("finds every network inside another", () => {
  const table = tableOf("192.0.2.1", "192.0.2.0/25", "192.0.3.1", "2001:db8::1");
  assert.deepEqual(names(table.within(net("192.0.2.0/24"))), ["192.0.2.0/25", "192.0.2.1"]);
});

test("families never meet", () => {
  assert(!tableOf("::/0").covers(net("192.0.2.1")));
  assert(!tableOf("0.0.0.0/0").overlaps(net("2001:db8::1")));
});

test("a deleted network covers nothing and is counted no more", () => {
  const table = tableOf("192.0.2.0/24");
  table.set(net("192.0.2.0/24"), "again");
  assert.equal(table.size, 1);
  assert(table.delete(net("192.0.2.0/24")));
  assert(!table.delete(net("192.0.2.0/24")));
  assert.equal(table.size, 0);
  assert(!table.covers(net("192.0.2.1")));
});

test("entries are what was set, canonical", () => {
  const entries = [...tableOf("192.0.2.7/24", "2001:db8::1/64").entries()];
  assert.deepEqual(entries.map((entry) => formatNet(entry.net)).toSorted(), ["192.0.2.0/24", "2001:db8::/64"]);
});
