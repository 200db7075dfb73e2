import assert from "node:assert/strict";
import { test } from "node:test";
import {
  hostsBanning,
  type LocalBanRow,
  localBansAbout,
  localBansMaxPerHost,
  upsertLocalBans,
} from "../../../server/store/local-bans.ts";
import { formatNet } from "../../../shared/address.ts";
import { freshStore } from "../../support/database.ts";

const nowMs = Date.UTC(2026, 10, 22);
const ban = (change: Partial<LocalBanRow> = {}): LocalBanRow => ({
  ...{ host: "h1", tenant: "a", jail: "sshd", net: "192.0.2.1/32", startedMs: nowMs, untilMs: nowMs + 600_000 },
  ...change,
});

test("a ban reported again is the same ban renewed, and an older report changes nothing", async () => {
  await using store = await freshStore();
  await upsertLocalBans(store, [ban(), ban({ startedMs: nowMs + 5, untilMs: null })]);
  await upsertLocalBans(store, [ban()]);
  const about = await localBansAbout(store, "192.0.2.1/32", nowMs, null, 10);
  assert.deepEqual(about, [ban({ startedMs: nowMs + 5, untilMs: null })]);
});

test("a ban ends by its own time, without a word from the host", async () => {
  await using store = await freshStore();
  await upsertLocalBans(store, [ban()]);
  assert.deepEqual(await hostsBanning(store, "192.0.2.0/24", nowMs + 599_999, null), ["h1"]);
  assert.deepEqual(await hostsBanning(store, "192.0.2.0/24", nowMs + 600_000, null), []);
  assert.deepEqual(await hostsBanning(store, "192.0.2.0/24", nowMs, "b"), []);
});

test("one host can put only so much on record, and not at another's cost", async () => {
  await using store = await freshStore();
  await upsertLocalBans(store, [ban({ host: "h2" })]);
  const rows = Array.from({ length: localBansMaxPerHost + 5 }, (_, index) =>
    ban({ net: formatNet({ family: 4, value: 0x14000000 + index, prefix: 32 }), startedMs: nowMs + index }),
  );
  await upsertLocalBans(store, rows);
  const counted = await store.rows(
    "select host, count(*) as count, min(started_ms) as oldest from local_bans group by host order by host",
  );
  assert.deepEqual(counted, [
    { host: "h1", count: localBansMaxPerHost, oldest: nowMs + 5 },
    { host: "h2", count: 1, oldest: nowMs },
  ]);
});
