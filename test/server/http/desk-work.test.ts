import assert from "node:assert/strict";
import { test } from "node:test";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import { dayMs, minuteMs } from "../../../shared/durations.ts";
import { attacker, batchOf, failuresOf, startMs } from "../ingest/arena.ts";
import { type ApiArena, openApi } from "./open-api.ts";

type Bans = { items: { id: number; net: string; scope: string; level: number | null }[]; next: string | null };
type Receipt = { net: string; lifted: number[]; total: number; waiting: string[] };
type Trial = Record<"adds" | "removes" | "changes", { count: number; first: { net: string }[] }> & {
  failures: number;
  bansBefore: number;
  bansAfter: number;
};

async function report(api: ApiArena, host: string, sequence: number, address: string, count: number): Promise<void> {
  const failures = failuresOf(address, count, api.arena.nowMs);
  await commitBatches(api.arena.writer, [batchOf(host, sequence, { failures })]);
}

test("a tenant lifts its own bans, gets an exception from the fleet's, and not a fourth time in a day", async () => {
  await using api = await openApi({ default: ["h1"], acme: ["web-1"] });
  const as = "support@acme";
  for (const net of ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]) {
    await api.ok("POST", "/bans", { body: { net, bantime: null, reason: "x", scope: "tenant:acme" } });
    await api.ok("POST", "/bans", { body: { net, bantime: null, reason: "x" } });
  }
  const dry = await api.ok<Receipt>("DELETE", "/bans?net=192.0.2.1&reason=customer&dryRun=true", { as });
  assert.deepEqual(dry.lifted, [1], "a dry run counts for nothing, and the fleet's ban would not be lifted");
  const lifted = await api.ok<Receipt>("DELETE", "/bans?net=192.0.2.1&reason=customer", { as });
  assert.deepEqual([lifted.lifted, lifted.total, lifted.waiting], [[1], 1, ["web-1"]]);
  const allows = await api.ok<{ items: { net: string; tenant: string; until: string }[] }>("GET", "/allow", { as });
  assert.deepEqual(
    allows.items.map(({ net, tenant, until }) => [net, tenant, Date.parse(until) - startMs]),
    [["192.0.2.1/32", "acme", dayMs]],
  );
  const standing = await api.ok<Bans>("GET", "/bans?net=192.0.2.1");
  assert.deepEqual(
    standing.items.map(({ scope }) => scope),
    ["fleet"],
    "the fleet's ban goes on for everybody else",
  );
  await api.ok("DELETE", "/bans/4?reason=customer", { as });
  await api.ok("POST", "/tenants/acme/unban", { body: { net: "192.0.2.3", reason: "panel" } });
  const fourth = await api.call("DELETE", "/bans?net=192.0.2.4&reason=again", { as });
  assert.equal(fourth.status, 429);
  assert.match(
    ((await fourth.json()) as { detail: string }).detail,
    /tenant acme has lifted 3 bans by itself within a day/,
  );
  assert.equal((await api.call("DELETE", "/bans/7?reason=x")).status, 200, "the fleet's support may");
  api.arena.nowMs += dayMs + 1;
  await api.ok("DELETE", "/bans?net=192.0.2.4&reason=next-day", { as });
});

test("a trial says which bans a policy would add and remove, and revert brings the last one back", async () => {
  await using api = await openApi();
  await report(api, "h1", 1, "192.0.2.1", 3);
  await report(api, "h1", 2, "192.0.2.2", 2);
  api.arena.nowMs += minuteMs;
  await report(api, "h1", 3, "192.0.2.3", 5);
  const trial = async (sshd: object) => api.ok<Trial>("POST", "/policy/trial?days=1", { body: { jails: { sshd } } });
  const stricter = await trial({ maxretry: 2 });
  assert.deepEqual(
    [stricter.failures, stricter.bansBefore, stricter.bansAfter, stricter.adds.first.map(({ net }) => net)],
    [10, 2, 3, ["192.0.2.2/32"]],
  );
  const milder = await trial({ maxretry: 4 });
  assert.deepEqual([milder.removes.count, milder.removes.first[0]?.net], [1, "192.0.2.1/32"]);
  const longer = await api.ok<Trial>("POST", "/policy/trial", { body: { ladder: [{ bantime: "2h" }] } });
  assert.deepEqual([longer.adds.count, longer.removes.count, longer.changes.count], [0, 0, 2]);
  const broken = await api.call("POST", "/policy/trial", { body: { jails: { sshd: { maxretry: 0 } } } });
  assert.equal(broken.status, 400);
  assert.match(((await broken.json()) as { detail: string }).detail, /jails.sshd.maxretry: must be a whole number/);

  const yaml = { body: "spread: null\n", headers: { "content-type": "application/yaml" } };
  await api.ok("PUT", "/policy", yaml);
  const reverted = await api.ok<{ version: number; document: string; effective: string }>("POST", "/policy/revert");
  assert.deepEqual([reverted.version, reverted.document], [2, ""]);
  assert.match(reverted.effective, /spread:\n {2}hosts: 5/);
});

test("lists come in pages that miss nothing and repeat nothing, in every order", async () => {
  await using api = await openApi();
  for (let index = 1; index <= 7; index += 1) {
    const bantime = index === 4 ? null : `${10 - index}h`;
    await api.ok("POST", "/bans", { body: { net: `192.0.2.${index}`, bantime, reason: "x" } });
  }
  await report(api, "h1", 1, "203.0.113.7", 7);
  await api.ok("DELETE", "/bans/2?reason=x");
  const all = async (path: string) => {
    const ids: number[] = [];
    for (let cursor = ""; ; ) {
      const page = await api.ok<Bans>("GET", `${path}&limit=2${cursor}`);
      ids.push(...page.items.map(({ id }) => id));
      if (page.next === null) return ids;
      cursor = `&cursor=${page.next}`;
    }
  };
  assert.deepEqual(await all("/bans?scope=fleet"), [8, 7, 6, 5, 4, 3, 1]);
  assert.deepEqual(await all("/bans?active=false&sort=oldest"), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(await all("/bans?sort=ending"), [8, 7, 6, 5, 3, 1, 4]);
  assert.deepEqual(await all("/bans?jail=sshd"), [8]);
  assert.deepEqual(await all("/bans?reason=admin&net=192.0.2.0/30"), [3, 1]);
  const failures = await all("/failures?jail=sshd");
  assert.equal(failures.length, 7);
  assert.equal((await api.call("GET", "/bans?cursor=1;drop")).status, 400);
  assert.equal((await api.call("GET", "/failures?cursor=1")).status, 400);
});

test("exports are safe in spreadsheets, plain, or one object a line, and are not sent twice", async () => {
  await using api = await openApi();
  const formula = `=HYPERLINK("http://192.0.2.66")`;
  const { token } = await api.ok<{ token: string }>("POST", "/tokens", { body: { name: formula, role: "operator" } });
  const headers = { authorization: `Bearer ${token}` };
  await api.ok("POST", "/bans", { body: { net: "192.0.2.1", bantime: null, reason: "x" }, headers });
  await api.ok("POST", "/bans", { body: { net: "2001:db8::/64", bantime: "1h", ports: [22, 25], reason: "x" } });
  const csv = await api.call("GET", "/exports/bans.csv");
  assert.equal(
    await csv.text(),
    "net,scope,level,ports,reason,by,started,until,hosts,failures\r\n" +
      `192.0.2.1/32,fleet,,all,admin,"'=HYPERLINK(""http://192.0.2.66"")",2026-11-22T09:00:00.000Z,,0,0\r\n` +
      "2001:db8::/64,fleet,,22 25,admin,admin of fleet,2026-11-22T09:00:00.000Z,2026-11-22T10:00:00.000Z,0,0\r\n",
  );
  const text = await (await api.call("GET", "/exports/bans.txt")).text();
  assert.deepEqual(text.split("\n").slice(1), ["192.0.2.1", "2001:db8::/64", ""]);
  const lines = (await (await api.call("GET", "/exports/bans.jsonl")).text()).trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { id: number }).id),
    [1, 2],
  );
  const again = { headers: { "if-none-match": csv.headers.get("etag") ?? "" } };
  assert.equal((await api.call("GET", "/exports/bans.csv", again)).status, 304);
  await api.ok("DELETE", "/bans/1?reason=x");
  assert.equal((await api.call("GET", "/exports/bans.csv", again)).status, 200);
});

test("what happens is told as it happens", async () => {
  await using api = await openApi();
  const response = await api.call("GET", "/events");
  assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  await api.ok("POST", "/bans", { body: { net: "192.0.2.1", bantime: "1h", reason: "x" } });
  await api.ok("DELETE", "/bans/1?reason=x");
  let text = "";
  while (!text.includes("event: unban")) text += (await reader?.read())?.value ?? "";
  assert.match(
    text,
    /event: ban\ndata: \{"at":"2026-11-22T09:00:00.000Z","kind":"ban","net":"192.0.2.1\/32","scope":"fleet"/,
  );
  await reader?.cancel();
});

test("what the brake held is listed, released and dropped by its number", async () => {
  await using api = await openApi();
  await api.ok("PUT", "/policy", { body: { limits: { fleetBansPerMinute: 0 } } });
  await report(api, "h1", 1, "192.0.2.1", 3);
  await report(api, "h1", 2, "192.0.2.2", 3);
  type Held = { items: { id: number; net: string }[] };
  const held = await api.ok<Held>("GET", "/held");
  assert.deepEqual(
    held.items.map(({ id, net }) => [id, net]),
    [
      [2, "192.0.2.2/32"],
      [1, "192.0.2.1/32"],
    ],
  );
  await api.ok("POST", "/held/1/release?reason=real");
  await api.ok("POST", "/held/2/drop");
  assert.deepEqual((await api.ok<Held>("GET", "/held")).items, []);
  assert.equal((await api.call("POST", "/held/1/release")).status, 404);
  const { items } = await api.ok<{ items: { outcome: string; net: string }[] }>("GET", "/incidents");
  assert.deepEqual(
    items.map(({ outcome, net }) => `${outcome} ${net}`),
    ["held 192.0.2.2/32", "held 192.0.2.1/32", "banned 192.0.2.1/32"],
  );
});

test("a host that moves counts for its new tenant from then on", async () => {
  await using api = await openApi({ default: ["h1"], acme: ["web-1"] });
  await api.ok("PATCH", "/hosts/web-1", { body: { tenant: "default", label: "now ours" } });
  assert.deepEqual(api.renewed, ["web-1"]);
  assert.equal((await api.call("GET", "/hosts/web-1", { as: "viewer@acme" })).status, 404);
  await report(api, "web-1", 1, attacker, 3);
  const { items } = await api.ok<Bans>("GET", "/bans");
  assert.deepEqual(
    items.map(({ scope, level }) => [scope, level]),
    [["fleet", 0]],
    "the default tenant is trusted",
  );
  const hosts = await api.ok<{ items: { host: string }[] }>("GET", "/hosts?search=ours");
  assert.deepEqual(
    hosts.items.map(({ host }) => host),
    ["web-1"],
  );
});

test("metrics have the promised names", async () => {
  await using api = await openApi();
  await api.ok("POST", "/bans", { body: { net: "192.0.2.1", bantime: "1h", reason: "x" } });
  await api.ok("DELETE", "/bans/1?reason=false-positive");
  api.events.latency.reported("h1", [{ scope: "fleet", revision: 0 }], startMs);
  api.events.latency.ordered(
    { scope: "fleet", from: 0, orders: [{ kind: "ban", id: 1, net: attacker, untilMs: null, ports: null, level: 0 }] },
    startMs,
  );
  api.events.latency.reported("h1", [{ scope: "fleet", revision: 1 }], startMs + 80);
  const text = await (await api.app.request("/metrics")).text();
  for (const line of [
    ...["f2b_fp_unbans_total 1", 'f2b_set_size{scope="fleet"} 0', "f2b_brake_state 0", "f2b_agent_lag_seq 0"],
    ...["f2b_ban_latency_seconds_count 1", "# TYPE f2b_reports_total counter", "# TYPE f2b_nats_rejects_total counter"],
  ]) {
    assert.ok(text.includes(line), line);
  }
  const { latency } = await api.ok<{ latency: object }>("GET", "/stats");
  assert.deepEqual(latency, { p50Ms: 80, p99Ms: 80, samples: 1 });
});
