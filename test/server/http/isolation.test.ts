import assert from "node:assert/strict";
import { test } from "node:test";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import { hourMs } from "../../../shared/durations.ts";
import { attacker, batchOf, failuresOf, startMs } from "../ingest/arena.ts";
import { type ApiArena, openApi } from "./open-api.ts";
import { operationsOf } from "./operations.ts";

const fleetOfThree = { default: ["h1"], acme: ["web-1"], zebra: ["zebra-1", "zebra-2"] };

/** Everything of tenant zebra has its name in it, so one word in an answer shows a leak. */
async function openZoo(): Promise<ApiArena> {
  const api = await openApi(fleetOfThree);
  await api.ok("PUT", "/policy", { body: { fleet: { tenants: 2, within: "24h", minTenantAge: "1d" } } });
  const zebra = "admin@zebra";
  await api.ok("PATCH", "/hosts/zebra-1", { as: zebra, body: { label: "zebra's shop" } });
  await api.ok("POST", "/bans", {
    as: zebra,
    body: { net: "203.0.113.5", bantime: "1h", reason: "zebra stripes", scope: "tenant:zebra" },
  });
  await api.ok("POST", "/bans", { body: { net: "203.0.113.6", bantime: "1h", reason: "zebra was attacked" } });
  await api.ok("POST", "/bans", {
    body: { net: attacker, bantime: "1h", reason: "zebra", scope: "host:zebra/zebra-2" },
  });
  await api.ok("POST", "/allow", {
    as: zebra,
    body: { net: "198.51.100.8", reason: "zebra's office", tenant: "zebra" },
  });
  await api.ok("POST", "/allow", { body: { net: "198.51.100.9", reason: "zebra's monitoring" } });
  await api.ok("POST", "/never", { body: { net: "198.51.100.7", reason: "zebra's gateway" } });
  await api.ok("POST", "/enrollment-tokens", { body: { tenant: "zebra" } });
  const localBans = [{ atMs: startMs, net: `${attacker}/32`, jail: "zebra-jail", untilMs: startMs + hourMs }];
  const early = "192.0.2.50";
  await commitBatches(api.arena.writer, [
    batchOf("zebra-1", 1, { failures: failuresOf(attacker, 4, startMs, "zebra-jail"), localBans }),
    batchOf("zebra-2", 1, { failures: failuresOf(early, 2, startMs, "zebra-jail") }),
  ]);
  // The second vote: a fleet ban from both tenants' evidence.
  await commitBatches(api.arena.writer, [
    batchOf("web-1", 1, { failures: failuresOf("203.0.113.99", 3, startMs, "sshd") }),
    batchOf("web-1", 2, { failures: failuresOf(attacker, 3, startMs, "sshd") }),
  ]);
  return api;
}

const addresses = [
  attacker,
  "192.0.2.50",
  "203.0.113.5",
  "203.0.113.6",
  "198.51.100.7",
  "198.51.100.8",
  "198.51.100.9",
];

test("no answer to a tenant names another tenant, its hosts, jails, people or words", async () => {
  await using api = await openZoo();
  const reads = (await operationsOf(api)).filter(({ name }) => name.startsWith("GET ") && name !== "GET /events");
  const paths = reads.flatMap(({ name }) => {
    const path = name.slice("GET ".length);
    if (path === "/explain") return addresses.map((address) => `/explain?ip=${address}`);
    if (path.includes("{id}")) return [1, 2, 3, 4, 5, 6, 7].map((id) => path.replace("{id}", String(id)));
    if (path === "/exports/{file}") return ["bans.csv", "bans.txt", "bans.jsonl"].map((file) => `/exports/${file}`);
    return [path.replace("{host}", "web-1").replace("{version}", "1").replace("{name}", "acme")];
  });
  let seenByFleet = 0;
  for (const path of [...paths, "/bans?active=false", "/bans?scope=fleet", "/incidents?limit=1000"]) {
    const text = await (await api.call("GET", path, { as: "admin@acme" })).text();
    assert.doesNotMatch(text, /zebra/i, path);
    if (/zebra/i.test(await (await api.call("GET", path)).text())) seenByFleet += 1;
  }
  assert.ok(seenByFleet > 10, `the fleet's admin sees zebra in ${seenByFleet} answers only: the test proves little`);
});

test("of a fleet ban a tenant sees that it stands, and its own part of the evidence", async () => {
  await using api = await openZoo();
  type Bans = { items: { net: string; by: string; note: string | null; reason: string; evidence: object }[] };
  const seen = async (as: "viewer@acme" | "viewer@fleet") => {
    const page = await api.ok<Bans>("GET", `/bans?scope=fleet&net=${attacker}`, { as });
    return page.items.map(({ by, reason, evidence }) => ({ by, reason, evidence }));
  };
  assert.deepEqual(await seen("viewer@fleet"), [
    { by: "policy 1", reason: "votes", evidence: { hosts: 2, tenants: 2, failures: 6 } },
  ]);
  assert.deepEqual(await seen("viewer@acme"), [
    { by: "the fleet", reason: "votes", evidence: { hosts: 1, tenants: 1, failures: 0 } },
  ]);
});

test("a tenant's figures, receipts and windows are its own", async () => {
  await using api = await openZoo();
  const as = "viewer@acme";
  const status = await api.ok<{ hosts: { total: number }; failuresLastHour: number }>("GET", "/status", { as });
  assert.deepEqual([status.hosts.total, status.failuresLastHour], [1, 6]);
  const stats = await api.ok<{ attacksPerMinute: { jail: string; count: number }[] }>("GET", "/stats", { as });
  assert.deepEqual(
    stats.attacksPerMinute.map(({ jail, count }) => [jail, count]),
    [["sshd", 6]],
  );
  const [ban] = (await api.ok<{ items: { id: number }[] }>("GET", "/bans?scope=fleet", { as })).items;
  const receipt = await api.ok<{ total: number; waiting: string[] }>("GET", `/bans/${ban?.id}/receipt`, { as });
  assert.deepEqual([receipt.total, receipt.waiting], [1, ["web-1"]]);
  const explained = await api.ok<{ summary: string; nextLevel: string }>("GET", "/explain?ip=192.0.2.50", { as });
  assert.match(explained.summary, /nothing counts against it/);
  const full = await api.ok<{ summary: string }>("GET", "/explain?ip=192.0.2.50");
  assert.match(full.summary, /2 of 3 failures \(zebra-jail\)/);
});

test("what happens to one tenant is not shown live to another", async () => {
  await using api = await openApi(fleetOfThree);
  const seen: string[] = [];
  const acme = { tokenId: 1, name: "a", role: "viewer", tenant: "acme" } as const;
  const stop = api.desk.watch(acme, (event) => seen.push(event.kind === "quarantine" ? event.tenant : event.scope));
  for (const scope of ["tenant:zebra", "host:zebra/zebra-1", "fleet", "tenant:acme", "host:acme/web-1"]) {
    await api.ok("POST", "/bans", { body: { net: "192.0.2.1", bantime: "1h", reason: "x", scope } });
  }
  await api.ok("PATCH", "/hosts/zebra-1", { body: { quarantined: true } });
  assert.deepEqual(seen, ["fleet", "tenant:acme", "host:acme/web-1"]);
  stop();
  await api.ok("POST", "/bans", { body: { net: "192.0.2.2", bantime: "1h", reason: "x" } });
  assert.equal(seen.length, 3);
});
