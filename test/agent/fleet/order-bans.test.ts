import assert from "node:assert/strict";
import { test } from "node:test";
import { changeOf } from "../../../agent/fleet/order-bans.ts";
import type { Order } from "../../../shared/order.ts";

const net = "192.0.2.1/32";
const ban: Order = { kind: "ban", id: 7, net, untilMs: 1000, ports: [22], level: 0 };

test("a ban and its unban in one frame leave nothing to ban", () => {
  const { bans, unbans } = changeOf("fleet", [ban, { kind: "unban", id: 7, net, reason: "admin" }]);
  assert.deepEqual([bans, unbans], [[], ["fleet:ban:7"]]);
});

test("a ban after an unban stands", () => {
  const { bans } = changeOf("fleet", [{ kind: "unban", id: 6, net, reason: "admin" }, ban]);
  assert.deepEqual(bans, [{ id: "fleet:ban:7", tier: "fleet", net, ports: [22], untilMs: 1000 }]);
});

test("a ban by hand is known as one", () => {
  const { bans } = changeOf("fleet", [{ ...ban, level: null }]);
  assert.deepEqual(bans, [{ id: "fleet:ban:7", tier: "fleet", net, ports: [22], untilMs: 1000, byHand: true }]);
});

test("an unban ends the host's own bans too, an expiry does not", () => {
  const lifted = changeOf("host:h1", [{ kind: "unban", id: 0, net, reason: "admin" }]);
  assert.deepEqual(lifted.lifts, [{ kind: "unban", id: 0, net, reason: "admin" }]);
  assert.deepEqual(changeOf("fleet", [{ kind: "unban", id: 7, net, reason: "expired" }]).lifts, []);
});

test("a never is a never whoever's scope it came in, an allow is as strong as its scope", () => {
  const tierOf = (scope: "fleet" | "tenant:a", never: boolean) =>
    changeOf(scope, [{ kind: "allow", id: 1, net, untilMs: null, ...(never ? { never: true } : {}) }]).allows[0]?.tier;
  assert.equal(tierOf("fleet", true), "never");
  assert.equal(tierOf("fleet", false), "fleet");
  assert.equal(tierOf("tenant:a", false), "tenant");
});

test("the same number in two scopes names two bans", () => {
  const [fleet, tenant] = [changeOf("fleet", [ban]), changeOf("tenant:a", [ban])];
  assert.notEqual(fleet.bans[0]?.id, tenant.bans[0]?.id);
});
