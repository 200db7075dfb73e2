import assert from "node:assert/strict";
import { test } from "node:test";
import { BanLatency } from "../../server/ban-latency.ts";
import type { Order } from "../../shared/order.ts";

const ban = (id: number): Order => ({ kind: "ban", id, net: "192.0.2.1/32", untilMs: null, ports: null, level: 0 });
const at = (revision: number) => [{ scope: "fleet", revision }] as const;

test("a ban is measured once per host, from the order to the host's first word that covers it", () => {
  const seen: number[] = [];
  const latency = new BanLatency((ms) => seen.push(ms));
  latency.reported("h1", at(0), 0);
  latency.reported("h2", at(0), 0);
  latency.ordered(
    {
      scope: "fleet",
      from: 0,
      orders: [ban(1), { kind: "unban", id: 9, net: "192.0.2.1/32", reason: "admin" }, ban(2)],
    },
    100,
  );
  latency.reported("h1", at(1), 150);
  latency.reported("h1", at(3), 180);
  latency.reported("h1", at(3), 999);
  latency.reported("h2", at(3), 300);
  assert.deepEqual(seen, [50, 80, 200, 200]);
  assert.deepEqual(latency.summary(), { p50Ms: 200, p99Ms: 200, samples: 4 });
});

test("a host's first word is about the past and measures nothing", () => {
  const latency = new BanLatency(() => assert.fail("measured"));
  latency.ordered({ scope: "fleet", from: 0, orders: [ban(1)] }, 100);
  latency.reported("new", at(1), 90_000);
  assert.equal(latency.summary(), null);
});
