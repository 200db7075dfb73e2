import assert from "node:assert/strict";
import { test } from "node:test";
import { ObserveMode } from "../../../agent/fleet/observe-mode.ts";
import { MemoryOrderStore } from "../../support/fleet-memory.ts";

test("an earlier word, said again, does not bring back what it said", () => {
  const mode = new ObserveMode(new MemoryOrderStore());
  assert.equal(mode.take({ observe: true, epoch: 1, atMs: 100 }), true);
  assert.equal(mode.take({ observe: false, epoch: 1, atMs: 200 }), true);
  assert.equal(mode.take({ observe: true, epoch: 1, atMs: 100 }), false);
  assert.equal(mode.on, false);
});

test("a new life of the order log is believed whatever its clock, and the old one no more", () => {
  const mode = new ObserveMode(new MemoryOrderStore());
  mode.take({ observe: true, epoch: 1, atMs: 1_000 });
  assert.equal(mode.take({ observe: false, epoch: 2, atMs: 10 }), true);
  assert.equal(mode.take({ observe: true, epoch: 1, atMs: 2_000 }), false);
});

test("a coordinator that says nothing of it changes nothing", () => {
  const mode = new ObserveMode(new MemoryOrderStore());
  mode.take({ observe: true, epoch: 1, atMs: 100 });
  assert.equal(mode.take({ epoch: 1, atMs: 200 }), false);
  assert.equal(mode.on, true);
});

test("it is kept over a restart, with its time", () => {
  const store = new MemoryOrderStore();
  new ObserveMode(store).take({ observe: true, epoch: 1, atMs: 100 });
  const again = new ObserveMode(store);
  assert.equal(again.on, true);
  assert.equal(again.take({ observe: false, epoch: 1, atMs: 50 }), false);
  assert.equal(again.take({ observe: false, epoch: 1, atMs: 150 }), true);
});
