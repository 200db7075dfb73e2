import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createDashboard } from "../../server/dashboard/dashboard.ts";
import { openDesk } from "../../server/desk/open-desk.ts";
import { startPostgres } from "../../server/embedded/postgres.ts";
import { createEvents } from "../../server/events.ts";
import { HostDirectory } from "../../server/hosts/host-directory.ts";
import { createApp } from "../../server/http/app.ts";
import { openJudgeWriter } from "../../server/ingest/judge-writer.ts";
import { openLogger } from "../../server/logger.ts";
import { createFailureDays } from "../../server/store/failures.ts";
import { listHosts } from "../../server/store/hosts.ts";
import { openStore } from "../../server/store/open-store.ts";
import { insertApiToken } from "../../server/store/tokens.ts";
import { fillFleet } from "../support/large-fleet.ts";

const help = `usage: bench:api [--bans N] [--hosts N] [--failures N] [--requests N] [--json]

Fills a database of its own with a large fleet and measures how long the API and the pages of the dashboard take to
answer. "uncached": what is remembered for seconds is asked of the database each time.

options:
  --bans N      bans, a third of them standing (default 1000000)
  --hosts N     hosts (default 10000)
  --failures N  failures of the last six hours (default 500000)
  --requests N  requests per route (default 100)
  --json        only one JSON line at the end
  --help        this text
`;

const { values } = parseArgs({
  options: {
    bans: { type: "string", default: "1000000" },
    hosts: { type: "string", default: "10000" },
    failures: { type: "string", default: "500000" },
    requests: { type: "string", default: "100" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const numbers = [values.bans, values.hosts, values.failures, values.requests].map(Number);

if (values.help || numbers.some((each) => !Number.isInteger(each) || each < 1)) {
  process.stdout.write(help);
  process.exitCode = values.help ? 0 : 64;
} else await main(numbers[0] ?? 1, numbers[1] ?? 1, numbers[2] ?? 1, numbers[3] ?? 1);

type Times = Readonly<{ p50Ms: number; p99Ms: number }>;

async function main(bans: number, hosts: number, failures: number, requests: number): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "fleet2ban-bench-"));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  const log = openLogger("silent");
  const say = (text: string) => void (values.json || process.stderr.write(`${text}\n`));
  const postgres = opened.use(await startPostgres({ dataDir, log }));
  const store = opened.use(await openStore({ url: postgres.url, log }));
  const nowMs = Date.now();
  await createFailureDays(store, nowMs - 86_400_000);
  await createFailureDays(store, nowMs);
  say(`filling ${bans} bans and ${hosts} hosts …`);
  await fillFleet(store, { bans, hosts, failures, auditEntries: Math.ceil(bans / 10), nowMs });
  say("opening the coordinator on them …");
  const writer = opened.use(await openJudgeWriter({ store, now: Date.now, log }));
  const directory = new HostDirectory();
  directory.load(await listHosts(store, null, null, hosts));
  const events = createEvents(log);
  let aheadMs = 0;
  const now = () => Date.now() + aheadMs;
  const desk = openDesk({
    ...{ version: "bench", store, writer, directory, orderEpoch: 1, events, now },
    degraded: () => [],
    busHealth: async () => "ok",
    enroll: async ({ tenant, uses, durationMs }) => ({ token: "", tenant, uses, untilMs: nowMs + durationMs }),
  });
  const app = createApp(desk, log, () => events.registry.metrics(), { perSecond: 1e9, burst: 1e9 });
  const tokenOf = async (tenant: string | null) => {
    const token = { name: "bench", role: "admin", tenant, createdMs: nowMs, untilMs: null } as const;
    return (await insertApiToken(store, token)).token;
  };
  const tokens = { fleet: await tokenOf(null), tenant: await tokenOf("t7") };
  const pages = createDashboard(desk, now);
  const measured: Record<string, Times> = {};
  for (const [route, path, token = tokens.fleet] of routesOf(tokens.tenant)) {
    // Anew: the clock runs ahead by more than a session lasts.
    const cookie = route.startsWith("page") ? await loggedIn(pages, tokens.fleet) : "";
    const request = async (index: number) => {
      // Beyond the life of every remembered figure.
      if (route.includes("uncached")) aheadMs += 60_000;
      const headers = route.startsWith("page") ? { cookie } : { authorization: `Bearer ${token}` };
      const surface = route.startsWith("page") ? pages : app;
      const response = await surface.request(path(index), { headers });
      await response.text();
      if (!response.ok) throw new Error(`${route}: ${response.status}`);
    };
    measured[route] = await timesOf(request, requests);
    const { p50Ms, p99Ms } = measured[route];
    say(`${route.padEnd(44)} p50 ${p50Ms.toFixed(1).padStart(7)} ms   p99 ${p99Ms.toFixed(1).padStart(7)} ms`);
  }
  process.stdout.write(`${JSON.stringify({ bans, hosts, failures, requests, routes: measured })}\n`);
}

async function loggedIn(pages: ReturnType<typeof createDashboard>, token: string): Promise<string> {
  const headers = { "sec-fetch-site": "same-origin" };
  const response = await pages.request("/login", { method: "POST", headers, body: new URLSearchParams({ token }) });
  return (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
}

type Route = readonly [name: string, path: (index: number) => string, token?: string];

function routesOf(tenant: string): readonly Route[] {
  const api = "/api/v1";
  const address = (index: number) => `192.0.${2 + (index % 60)}.${index % 250}`;
  return [
    ["GET /status", () => `${api}/status`],
    ["GET /stats", () => `${api}/stats`],
    ["GET /stats uncached", () => `${api}/stats`],
    ["GET /stats uncached (tenant)", () => `${api}/stats`, tenant],
    ["GET /bans", () => `${api}/bans`],
    ["GET /bans?cursor", (index) => `${api}/bans?cursor=${200_000 + index}`],
    ["GET /bans?scope", (index) => `${api}/bans?scope=tenant:t${1 + (index % 90)}`],
    ["GET /bans?level", () => `${api}/bans?level=3`],
    ["GET /bans?jail", () => `${api}/bans?jail=postfix`],
    ["GET /bans?reason=admin", () => `${api}/bans?reason=admin`],
    ["GET /bans?sort=ending", () => `${api}/bans?sort=ending`],
    ["GET /bans?net=/24", (index) => `${api}/bans?net=${address(index)}/24`],
    ["GET /bans?active=false", () => `${api}/bans?active=false&limit=1000`],
    ["GET /bans (tenant)", () => `${api}/bans`, tenant],
    ["GET /bans/{id}", (index) => `${api}/bans/${1 + index}`],
    ["GET /bans/{id}/receipt", (index) => `${api}/bans/${1 + index}/receipt`],
    ["GET /explain", (index) => `${api}/explain?ip=${address(index)}`],
    ["GET /explain (tenant)", (index) => `${api}/explain?ip=${address(index)}`, tenant],
    ["GET /hosts", () => `${api}/hosts`],
    ["GET /hosts?search", () => `${api}/hosts?search=shop`],
    ["GET /hosts?troubled", () => `${api}/hosts?troubled=true`],
    ["GET /hosts (tenant)", () => `${api}/hosts`, tenant],
    ["GET /tenants", () => `${api}/tenants`],
    ["GET /failures", () => `${api}/failures`],
    ["GET /failures?net", (index) => `${api}/failures?net=${address(index)}`],
    ["GET /incidents", () => `${api}/incidents`],
    ["GET /held", () => `${api}/held`],
    ["GET /audit", () => `${api}/audit`],
    ["GET /audit?actor", () => `${api}/audit?actor=admin7`],
    ["GET /policy", () => `${api}/policy`],
    ["GET /metrics", () => "/metrics"],
    ["GET /approvals", () => `${api}/approvals`],
    ["page / uncached", () => "/"],
    ["page /bans", () => "/bans"],
    ["page /bans?jail", () => "/bans?jail=postfix&level=0"],
    ["page /unban/matching uncached", () => "/unban/matching?jail=postfix"],
    ["page /address", (index) => `/address?ip=${address(index)}`],
    // Not /self-check: strangers may open it, so it answers only so many in a minute.
    ...["/hosts", "/tenants", "/lists", "/held", "/approvals", "/policy", "/audit", "/tokens"].map(
      (place): Route => [`page ${place}`, () => place],
    ),
  ];
}

async function timesOf(request: (index: number) => Promise<void>, count: number): Promise<Times> {
  await request(0);
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const startMs = performance.now();
    await request(index);
    times.push(performance.now() - startMs);
  }
  times.sort((one, other) => one - other);
  const at = (part: number) => Number((times[Math.min(count - 1, Math.floor(count * part))] ?? 0).toFixed(2));
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}
