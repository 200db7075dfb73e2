import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { insertHost } from "../../../server/store/hosts.ts";
import { openStore, type Store } from "../../../server/store/open-store.ts";
import { insertPolicy } from "../../../server/store/policies.ts";
import { insertTenant } from "../../../server/store/tenants.ts";
import { freshDatabaseUrl } from "../../support/database.ts";
import { startTestNats, type TestNats } from "../../support/nats.ts";
import { type Program, startProgram } from "../../support/program.ts";
import { SendingHost } from "./sending-host.ts";

const faultMain = "test/server/ingest/fault-main.ts";

export type StartOptions = Readonly<{
  signal?: "SIGKILL" | "SIGSTOP";
  natsUrl?: string;
  env?: Readonly<Record<string, string>>;
}>;

/** One database and one bus, hosts that send, and as many real coordinator processes as a test starts. */
export type Coordinators = AsyncDisposable &
  Readonly<{
    store: Store;
    nats: TestNats;
    hosts: readonly SendingHost[];
    databaseUrl: string;
    /** Starts one and waits until it serves; with `fault` it kills itself there, or freezes. */
    start(fault?: string, options?: StartOptions): Promise<Program>;
    /** How many partitions each coordinator that owns any has, the most first. */
    shares(): Promise<readonly number[]>;
    /** Lines in the database by host, against what the hosts sent. */
    miscounted(): Promise<readonly string[]>;
    /** What is wrong with the order logs and the bans; empty when every revision and every ban is there once. */
    disorder(): Promise<readonly string[]>;
  }>;

export async function openCoordinators(hostCount: number): Promise<Coordinators> {
  await using opened = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-coordinators-"));
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  const databaseUrl = await freshDatabaseUrl();
  const store = opened.use(await openStore({ url: databaseUrl, log: pino({ level: "silent" }) }));
  const nats = opened.use(await startTestNats());
  await insertTenant(store, "default", "full", 0);
  // These hosts see more attackers in a minute than any real one.
  const policy =
    "limits: { agent: { subjectsPerMinute: 100000, subjectsPerDay: 1000000 }, fleetBansPerMinute: 100000 }";
  await store.transaction((sql) => insertPolicy(sql, policy, "test", 0));
  const hosts: SendingHost[] = [];
  for (let number = 1; number <= hostCount; number += 1) {
    const host = opened.use(await SendingHost.connect(nats, `h${number}`));
    await insertHost(store, { host: host.host, tenant: "default", publicKey: `U${number}`, nowMs: 0 });
    hosts.push(host);
  }
  let started = 0;
  const closing = opened.move();
  return {
    ...{ store, nats, hosts, databaseUrl },
    async start(fault, { signal = "SIGKILL", natsUrl = nats.address.url, env = {} } = {}) {
      started += 1;
      const dataDir = join(folder, `coordinator${started}`);
      mkdirSync(dataDir);
      // All of a fleet sign with the same keys.
      cpSync(join(nats.dataDir, "keys"), join(dataDir, "keys"), { recursive: true });
      const address = ["--database-url", databaseUrl, "--nats-url", natsUrl, "--http", "127.0.0.1:0"];
      const program = startProgram(faultMain, ["--data-dir", dataDir, ...address], {
        env: { ...env, ...(fault === undefined ? {} : { FAULT: fault, FAULT_SIGNAL: signal }) },
      });
      closing.use(program);
      // One that is to die may do so before it says anything.
      if (fault === undefined) await program.line(/coordinator: (\S+)/);
      return program;
    },
    async shares() {
      const rows = await store.rows<{ owned: number }>(
        "select count(*) as owned from partitions group by owner order by owned desc",
      );
      return rows.map(({ owned }) => owned);
    },
    async miscounted() {
      const rows = await store.rows<{ host: string; lines: number }>(
        "select host, sum(count)::bigint as lines from failures group by host",
      );
      const counted = new Map(rows.map(({ host, lines }) => [host, lines]));
      return hosts.flatMap(({ host, lines }) =>
        counted.get(host) === lines ? [] : [`${host}: sent ${lines}, counted ${counted.get(host) ?? 0}`],
      );
    },
    async disorder() {
      const gaps = await store.rows<{ scope: string }>(
        `select scope from (select scope, count(*) as orders, count(distinct revision) as different,
           min(revision) as first, max(revision) as last from orders group by scope) as logs
         where first <> 1 or last <> orders or different <> orders
           or last <> (select revision from scopes where scopes.scope = logs.scope)`,
      );
      const doubled = await store.rows<{ net: string; count: number }>(
        "select net, count(*) as count from bans group by net having count(*) <> 1",
      );
      const unordered = await store.rows<{ net: string }>(
        `select net from bans where not exists (select from orders where orders.scope = bans.scope
           and revision = bans.start_revision and "order" ->> 'kind' = 'ban' and ("order" ->> 'id')::bigint = bans.id)`,
      );
      const left = await store.rows<{ id: number }>("select id from handed_failures");
      return [
        ...gaps.map(({ scope }) => `${scope}: revisions with a gap`),
        ...doubled.map(({ net, count }) => `${net}: ${count} bans`),
        ...unordered.map(({ net }) => `${net}: a ban without its order`),
        ...left.map(({ id }) => `handed over and not judged: ${id}`),
      ];
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}
