import assert from "node:assert/strict";
import { test } from "node:test";
import {
  countHosts,
  findHost,
  insertHost,
  listHosts,
  receiptOf,
  recordReports,
  setHostState,
} from "../../../server/store/hosts.ts";
import type { Store } from "../../../server/store/open-store.ts";
import { insertTenant, listTenants } from "../../../server/store/tenants.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import { freshStore } from "../../support/database.ts";

const nowMs = Date.UTC(2026, 10, 22);
const isConflict = (error: unknown) => error instanceof Fleet2banError && error.code === "conflict";

async function fleet(): Promise<Store> {
  const store = await freshStore();
  for (const tenant of ["a", "b"]) await insertTenant(store, tenant, "vote", nowMs);
  for (const [host, tenant] of [
    ["h1", "a"],
    ["h2", "a"],
    ["h3", "b"],
  ] as const) {
    await insertHost(store, { host, tenant, publicKey: `U${host}`, nowMs });
  }
  return store;
}

test("enrolling the same host with the same key again changes nothing; name and key belong to one host", async () => {
  await using store = await fleet();
  assert.equal(
    (await insertHost(store, { host: "h1", tenant: "a", publicKey: "Uh1", nowMs: nowMs + 1 })).enrolledMs,
    nowMs,
  );
  await assert.rejects(insertHost(store, { host: "h1", tenant: "a", publicKey: "other", nowMs }), isConflict);
  await assert.rejects(insertHost(store, { host: "h9", tenant: "a", publicKey: "Uh1", nowMs }), isConflict);
  await assert.rejects(insertHost(store, { host: "h1", tenant: "b", publicKey: "Uh1", nowMs }), isConflict);
});

test("a revoked host cannot come back by itself", async () => {
  await using store = await fleet();
  await setHostState(store, "h1", { state: "revoked" });
  await assert.rejects(insertHost(store, { host: "h1", tenant: "a", publicKey: "Uh1", nowMs }), isConflict);
  assert.deepEqual(
    (await listTenants(store, null)).map((each) => each.hosts),
    [1, 1],
  );
});

test("a name that no subject can carry is refused", async () => {
  await using store = await fleet();
  for (const host of ["", "a.b", "*", "-a", "A", "x".repeat(49)]) {
    await assert.rejects(insertHost(store, { host, tenant: "a", publicKey: "new", nowMs }), Fleet2banError);
  }
});

test("a report changes what it says and nothing else, and the last of several counts", async () => {
  await using store = await fleet();
  await recordReports(store, [
    { host: "h1", atMs: nowMs + 5, version: "0.1.0", enforcing: true, problems: ["nft is missing"] },
  ]);
  await recordReports(store, [
    { host: "h1", atMs: nowMs + 6, fleetRevision: 3 },
    { host: "h1", atMs: nowMs + 7, fleetRevision: 4, enforcing: false },
    { host: "stranger", atMs: nowMs },
  ]);
  const host = await findHost(store, "h1");
  assert.deepEqual(
    [host?.lastSeenMs, host?.version, host?.enforcing, host?.fleetRevision, host?.problems],
    [nowMs + 7, "0.1.0", false, 4, ["nft is missing"]],
  );
});

test("a receipt counts the hosts of its scope that have applied the revision in this life of the log", async () => {
  await using store = await fleet();
  const epoch = 7;
  await recordReports(store, [
    { host: "h1", atMs: nowMs, orderEpoch: epoch, fleetRevision: 5, tenantRevision: 1 },
    { host: "h2", atMs: nowMs, orderEpoch: epoch, fleetRevision: 4 },
    { host: "h3", atMs: nowMs, orderEpoch: epoch - 1, fleetRevision: 9 },
  ]);
  assert.deepEqual(await receiptOf(store, [{ scope: "fleet", revision: 5 }], epoch, null), {
    ...{ applied: 1, enforced: 1 },
    ...{ total: 3, waiting: ["h2", "h3"] },
  });
  assert.deepEqual(await receiptOf(store, [{ scope: "fleet", revision: 5 }], epoch, "b"), {
    applied: 0,
    enforced: 0,
    total: 1,
    waiting: ["h3"],
  });
  assert.deepEqual(await receiptOf(store, [{ scope: "tenant:a", revision: 1 }], epoch, null), {
    applied: 1,
    enforced: 1,
    total: 2,
    waiting: ["h2"],
  });
  assert.deepEqual(await receiptOf(store, [{ scope: "host:h2", revision: 1 }], epoch, null), {
    applied: 0,
    enforced: 0,
    total: 1,
    waiting: ["h2"],
  });
  await setHostState(store, "h2", { state: "revoked" });
  assert.deepEqual(await receiptOf(store, [{ scope: "tenant:a", revision: 1 }], epoch, null), {
    applied: 1,
    enforced: 1,
    total: 1,
    waiting: [],
  });
});

test("a receipt of several orders counts a host once, when it has carried out all that concern it", async () => {
  await using store = await fleet();
  await recordReports(store, [
    { host: "h1", atMs: nowMs, orderEpoch: 7, fleetRevision: 5, tenantRevision: 2 },
    { host: "h2", atMs: nowMs, orderEpoch: 7, fleetRevision: 5, tenantRevision: 1 },
    { host: "h3", atMs: nowMs, orderEpoch: 7, fleetRevision: 5 },
  ]);
  const places = [
    { scope: "fleet", revision: 5 },
    { scope: "tenant:a", revision: 2 },
  ] as const;
  const { applied, total, waiting } = await receiptOf(store, places, 7, null);
  assert.deepEqual([applied, total, waiting], [2, 3, ["h2"]]);
});

test("counts see connected, lagging and not enforcing hosts", async () => {
  await using store = await fleet();
  await recordReports(store, [
    { host: "h1", atMs: nowMs, fleetRevision: 5, enforcing: true },
    { host: "h2", atMs: nowMs, fleetRevision: 4, enforcing: false },
  ]);
  assert.deepEqual(await countHosts(store, null, nowMs, 5), { total: 3, connected: 2, lagging: 1, notEnforcing: 1 });
  await setHostState(store, "h2", { observe: true });
  assert.equal((await countHosts(store, "a", nowMs, 5)).notEnforcing, 0);
});

test("hosts are listed by name, page by page, for one tenant or all", async () => {
  await using store = await fleet();
  assert.deepEqual(
    (await listHosts(store, null, null, 2)).map((each) => each.host),
    ["h1", "h2"],
  );
  assert.deepEqual(
    (await listHosts(store, null, "h2", 2)).map((each) => each.host),
    ["h3"],
  );
  assert.deepEqual(
    (await listHosts(store, "b", null, 9)).map((each) => each.host),
    ["h3"],
  );
});

test("a ban is in force where a firewall stops it: not where the host observes, or has none", async () => {
  await using store = await fleet();
  const applied = { atMs: nowMs, orderEpoch: 7, fleetRevision: 5 };
  await recordReports(store, [
    { host: "h1", ...applied, enforcing: true },
    { host: "h2", ...applied, enforcing: true },
    { host: "h3", ...applied, enforcing: false },
  ]);
  await setHostState(store, "h2", { observe: true });
  const { applied: told, enforced, total } = await receiptOf(store, [{ scope: "fleet", revision: 5 }], 7, null);
  assert.deepEqual([told, enforced, total], [3, 1, 3]);
});
