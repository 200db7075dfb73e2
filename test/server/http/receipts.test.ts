import assert from "node:assert/strict";
import { test } from "node:test";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import { recordReports } from "../../../server/store/hosts.ts";
import { hourMs } from "../../../shared/durations.ts";
import { waitFor } from "../../support/wait-for.ts";
import { attacker, batchOf, failuresOf, startMs } from "../ingest/arena.ts";
import { type ApiArena, openApi } from "./open-api.ts";

type Receipt = { lifted: number[]; applied: number; total: number; waiting: string[] };
type Problem = { status: number; detail: string };

const reached = { atMs: startMs, orderEpoch: 1, fleetRevision: 99, tenantRevision: 99, hostRevision: 99 };

async function problem(api: ApiArena, path: string): Promise<Problem> {
  const response = await api.call("DELETE", path);
  return { status: response.status, detail: ((await response.json()) as Problem).detail };
}

test("an unban that waits knows the connected hosts that carry it out meanwhile", async () => {
  await using api = await openApi();
  await api.ok("POST", "/bans", { body: { net: "192.0.2.1", bantime: null, reason: "x" } });
  for (const host of ["h1", "h2"]) api.directory.setConnected(host, true);
  const asked = api.ok<Receipt>("DELETE", "/bans?net=192.0.2.1&reason=x&wait=10");
  await waitFor(async () => (await api.ok<{ items: object[] }>("GET", "/bans")).items.length === 0, "the unban");
  await recordReports(api.arena.store, [{ host: "h1", ...reached }]);
  await recordReports(api.arena.store, [{ host: "h2", ...reached }]);
  assert.deepEqual(await asked, { net: "192.0.2.1/32", lifted: [1], applied: 2, total: 2, waiting: [] });
});

test("an unban waits for no host that is away, and says that it is queued for it", async () => {
  await using api = await openApi();
  await api.ok("POST", "/bans", { body: { net: "192.0.2.1", bantime: null, reason: "x" } });
  api.directory.setConnected("h1", true);
  await recordReports(api.arena.store, [{ host: "h1", ...reached }]);
  const begunMs = performance.now();
  const receipt = await api.ok<Receipt>("DELETE", "/bans/1?reason=x&wait=10");
  assert.deepEqual([receipt.applied, receipt.total, receipt.waiting], [1, 2, ["h2"]]);
  assert.ok(performance.now() - begunMs < 9000, "it waited for a host that is away");
});

test("what a host's own bans need is in the receipt as well", async () => {
  await using api = await openApi();
  const localBans = [{ atMs: startMs, net: "192.0.2.7", jail: "sshd", untilMs: startMs + hourMs }];
  await commitBatches(api.arena.writer, [batchOf("h2", 1, { localBans })]);
  const dry = await api.ok<Receipt>("DELETE", "/bans?net=192.0.2.7&reason=x&dryRun=true");
  assert.deepEqual([dry.lifted, dry.applied, dry.total, dry.waiting], [[], 0, 1, ["h2"]]);
  api.directory.setConnected("h2", true);
  const asked = api.ok<Receipt>("DELETE", "/bans?net=192.0.2.7&reason=x&wait=10");
  const isTold = async () => (await api.arena.store.rows("select from orders")).length > 0;
  await waitFor(isTold, "the order");
  await recordReports(api.arena.store, [{ host: "h2", ...reached }]);
  const { applied, total, waiting } = await asked;
  assert.deepEqual([applied, total, waiting], [1, 1, []]);
});

test("a dry run shows the ended bans that the ladder would forget, and refuses what the act would refuse", async () => {
  await using api = await openApi();
  await commitBatches(api.arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 3, startMs) })]);
  await recordReports(api.arena.store, [{ host: "h1", ...reached }]);
  await api.ok("DELETE", "/bans/1?reason=x");
  for (const path of ["/bans/1", `/bans?net=${attacker}&`]) {
    const asked = `${path}${path.includes("?") ? "" : "?"}reason=false-positive`;
    const dry = await api.ok<Receipt>("DELETE", `${asked}&dryRun=true`);
    assert.deepEqual([dry.lifted, dry.applied, dry.total], [[1], 1, 2], path);
  }
  const over = { status: 409, detail: `ban 1 of ${attacker}/32 has ended already (admin)` };
  assert.deepEqual(await problem(api, "/bans/1?reason=x&dryRun=true"), over);
  assert.deepEqual(await problem(api, "/bans/1?reason=x"), over);
  await api.ok("DELETE", "/bans/1?reason=false-positive");
  const nothing = { status: 404, detail: `no ban of ${attacker}/32 stands` };
  for (const dry of ["", "&dryRun=true"]) {
    assert.deepEqual(await problem(api, `/bans?net=${attacker}&reason=false-positive${dry}`), nothing);
    assert.equal((await problem(api, `/bans/1?reason=false-positive${dry}`)).status, 409);
  }
});
