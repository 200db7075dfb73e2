import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openStore } from "../../../agent/store/open-store.ts";
import type { OrderStore } from "../../../agent/store/orders.ts";
import type { AllowOrder, BanOrder, Order } from "../../../shared/order.ts";
import { quietLog } from "../logs/followed-log.ts";

const ban: BanOrder = { kind: "ban", id: 1, net: "192.0.2.1/32", untilMs: 5000, ports: [22, 2222], level: 0 };
const network: BanOrder = { kind: "ban", id: 2, net: "198.51.100.0/24", untilMs: null, ports: null, level: null };
const allow: AllowOrder = { kind: "allow", id: 2, net: "203.0.113.0/24", untilMs: null };

function orders(t: TestContext): OrderStore {
  const dir = mkdtempSync(join(tmpdir(), "fleet2ban-orders-"));
  const store = openStore(dir, quietLog);
  t.after(() => {
    store[Symbol.dispose]();
    rmSync(dir, { recursive: true, force: true });
  });
  return store.orders;
}

const byKind = (left: Order, right: Order) => left.kind.localeCompare(right.kind) || left.id - right.id;

test("a frame's orders and its place come back together, a ban and an allow of one id apart", (t) => {
  const store = orders(t);
  store.apply("fleet", { epoch: "4", revision: 3 }, [ban, network, allow]);
  store.apply("fleet", { epoch: "4", revision: 5 }, [
    { kind: "unban", id: 1, net: ban.net, reason: "admin" },
    { kind: "disallow", id: 99, net: allow.net },
  ]);
  const set = store.load(0).get("fleet");
  assert.deepEqual([set?.epoch, set?.revision], ["4", 5]);
  assert.deepEqual(set?.standing.toSorted(byKind), [allow, network]);
});

test("scopes do not touch each other, and one can be dropped", (t) => {
  const store = orders(t);
  store.apply("fleet", { epoch: "1", revision: 1 }, [ban]);
  store.apply("tenant:a", { epoch: "1", revision: 1 }, [ban]);
  store.replace("fleet", { epoch: "2", revision: 9 }, [network]);
  assert.deepEqual(store.load(0).get("fleet")?.standing, [network]);
  assert.deepEqual(store.load(0).get("tenant:a")?.standing, [ban]);
  store.drop("tenant:a");
  assert.deepEqual([...store.load(0).keys()], ["fleet"]);
});

test("an order that has ended is not loaded", (t) => {
  const store = orders(t);
  store.apply("fleet", { epoch: "1", revision: 1 }, [ban]);
  assert.equal(store.load(4999).get("fleet")?.standing.length, 1);
  assert.equal(store.load(5000).get("fleet")?.standing.length, 0);
});

test("a frame that fails half-way changes nothing", (t) => {
  const store = orders(t);
  store.apply("fleet", { epoch: "1", revision: 1 }, [ban]);
  const broken = { ...network, net: undefined } as unknown as BanOrder;
  assert.throws(() => store.apply("fleet", { epoch: "1", revision: 3 }, [{ ...network, id: 7 }, broken]));
  const set = store.load(0).get("fleet");
  assert.deepEqual([set?.revision, set?.standing], [1, [ban]]);
});
