import assert from "node:assert/strict";
import { test } from "node:test";
import { HostDirectory, type KnownHost } from "../../../server/hosts/host-directory.ts";

const host = (name: string, tenant: string): KnownHost => ({
  ...{ host: name, tenant, publicKey: `U${name}`, state: "active", observe: false },
});

test("listeners of a tenant are its connected hosts, also after moves, repeats and new lists", () => {
  const directory = new HostDirectory();
  directory.load([host("h1", "a"), host("h2", "a"), host("h3", "b")]);
  for (const name of ["h1", "h2", "h3", "h1"]) directory.setConnected(name, true);
  const listeners = () =>
    ["fleet", "tenant:a", "tenant:b", "host:h1"].map((scope) => directory.listeners(scope as "fleet"));
  assert.deepEqual(listeners(), [3, 2, 1, 1]);
  directory.put(host("h1", "b"));
  assert.deepEqual(listeners(), [3, 1, 2, 1]);
  directory.setConnected("h1", false);
  directory.setConnected("h1", false);
  assert.deepEqual(listeners(), [2, 1, 1, 0]);
  directory.load([host("h3", "b")]);
  assert.deepEqual(listeners(), [1, 0, 1, 0]);
  directory.forgetConnections();
  directory.stopAwaiting();
  assert.deepEqual(listeners(), [0, 0, 0, 0]);
});

test("hosts that were cut off with the bus count until they are back or given up, and none counts twice", () => {
  const directory = new HostDirectory();
  directory.load([host("h1", "a"), host("h2", "a"), host("h3", "b"), { ...host("h4", "a"), state: "revoked" }]);
  const seen = (name: string, lastSeenMs: number | null) => ({ host: name, lastSeenMs });
  directory.awaitSeen([seen("h1", 90_000), seen("h2", null), seen("h3", 1_000), seen("h4", 90_000)], 100_000);
  const listeners = () => ["fleet", "tenant:a", "host:h3"].map((scope) => directory.listeners(scope as "fleet"));
  assert.deepEqual([listeners(), directory.isConnected("h1")], [[2, 1, 1], false]);
  for (const name of ["h1", "h2", "h3"]) directory.setConnected(name, true);
  assert.deepEqual(listeners(), [3, 2, 1]);
  directory.forgetConnections();
  assert.deepEqual([listeners(), directory.isConnected("h1")], [[3, 2, 1], false]);
  directory.setConnected("h1", true);
  assert.deepEqual(listeners(), [3, 2, 1]);
  directory.stopAwaiting();
  assert.deepEqual([listeners(), directory.isConnected("h1")], [[1, 1, 0], true]);
});

test("a revoked host has no tenant, whatever is connected; a quarantined one keeps its protection", () => {
  const directory = new HostDirectory();
  directory.load([host("h1", "a")]);
  directory.setState("h1", "quarantined");
  assert.equal(directory.tenantOf("h1"), "a");
  directory.setState("h1", "revoked");
  assert.equal(directory.tenantOf("h1"), undefined);
});
