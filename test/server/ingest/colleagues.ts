import assert from "node:assert/strict";
import { pino } from "pino";
import type { Trust } from "../../../server/domain/judge.ts";
import { partitionOfHost } from "../../../server/domain/partition.ts";
import { type ArrivedBatch, commitBatches, type IngestResult } from "../../../server/ingest/commit-batches.ts";
import { type Commit, type JudgeWriter, openJudgeWriter } from "../../../server/ingest/judge-writer.ts";
import { insertHost } from "../../../server/store/hosts.ts";
import { openStore, type Store } from "../../../server/store/open-store.ts";
import { insertPolicy } from "../../../server/store/policies.ts";
import { openSeat, type Seat } from "../../../server/store/seat.ts";
import { newCoordinatorId, offerToShare, shareOut } from "../../../server/store/shares.ts";
import { insertTenant } from "../../../server/store/tenants.ts";
import { dayMs } from "../../../shared/durations.ts";
import { freshDatabaseUrl } from "../../support/database.ts";

export const startMs = Date.UTC(2026, 10, 22, 9, 0, 0);
const log = pino({ level: "silent" });

/** Several coordinators' writers on one database, in one process, on a clock that moves by hand. */
export class Colleagues implements AsyncDisposable {
  readonly store: Store;
  readonly writers: JudgeWriter[] = [];
  nowMs = startMs;
  /** What the leader told the bus. */
  readonly told: Commit[] = [];
  readonly #url: string;
  readonly #presences: Seat[] = [];

  private constructor(store: Store, url: string) {
    this.store = store;
    this.#url = url;
  }

  /** @param fleet  hosts by tenant; `default` is trusted, the others vote */
  static async open(
    fleet: Readonly<Record<string, readonly string[]>>,
    count: number,
    policy = "",
  ): Promise<Colleagues> {
    const url = await freshDatabaseUrl();
    const store = await openStore({ url, log });
    const old = startMs - 60 * dayMs;
    for (const [name, hosts] of Object.entries(fleet)) {
      const trust: Trust = name === "default" ? "full" : "vote";
      await insertTenant(store, name, trust, old);
      for (const host of hosts) await insertHost(store, { host, tenant: name, publicKey: `U${host}`, nowMs: old });
    }
    if (policy !== "") await store.transaction((sql) => insertPolicy(sql, policy, "test", old));
    const colleagues = new Colleagues(store, url);
    for (let number = 0; number < count; number += 1) await colleagues.join();
    return colleagues;
  }

  get leader(): JudgeWriter {
    return this.writers[0] ?? assert.fail("nobody leads");
  }

  /** The first leads, the others share. */
  async join(): Promise<JudgeWriter> {
    const options = { store: this.store, now: () => this.nowMs, log };
    if (this.writers.length === 0) {
      const leader = await openJudgeWriter({ ...options, committed: (commit) => this.told.push(commit) });
      this.writers.push(leader);
      return leader;
    }
    const sharer = await newCoordinatorId(this.store);
    const presence = openSeat({
      ...{ url: this.#url, seat: { kind: "presence", number: sharer }, log },
      lost: () => undefined,
    } as const);
    this.#presences.push(presence);
    assert.ok(await presence.tryTake());
    await offerToShare(this.store, sharer, "https://colleague.example", this.nowMs);
    const writer = await openJudgeWriter({ ...options, sharer });
    this.writers.push(writer);
    await this.shareOut();
    return writer;
  }

  /** As its process would end: nobody tells the others. */
  async leave(writer: JudgeWriter): Promise<void> {
    const index = this.writers.indexOf(writer);
    await this.#presences[index - 1]?.[Symbol.asyncDispose]();
    this.writers.splice(index, 1);
    this.#presences.splice(index - 1, 1);
  }

  async shareOut(): Promise<void> {
    await this.store.transaction((sql) => shareOut(sql, this.leader.coordinator));
    // A turn each, in which they notice.
    for (const writer of this.writers) await writer.turn(null, async () => undefined);
  }

  /** Hands a batch to whoever takes in its host's. */
  async take(arrived: ArrivedBatch): Promise<IngestResult> {
    for (const writer of this.writers) {
      const result = await commitBatches(writer, [arrived]);
      if (!result.elsewhere.has(arrived.host)) return result;
    }
    return assert.fail(`nobody takes in ${arrived.host}`);
  }

  /** Until nothing that was handed over is left. */
  async settle(): Promise<void> {
    for (let left = 1; left > 0; ) {
      left = 0;
      for (const writer of this.writers) left += (await commitBatches(writer, [], 100)).takenOver;
    }
  }

  /** Who takes in this host's batches. */
  async homeOf(host: string): Promise<JudgeWriter> {
    return this.#ownerOf(partitionOfHost(host));
  }

  /** Who judges this address. */
  async judgeOf(address: string): Promise<JudgeWriter> {
    for (const writer of this.writers) if (await writer.ask((judge) => judge.owns(address))) return writer;
    return assert.fail(`nobody judges ${address}`);
  }

  async #ownerOf(partition: number): Promise<JudgeWriter> {
    for (const writer of this.writers) {
      const { result } = await writer.turn(null, async ({ share }) => share?.has(partition) ?? true);
      if (result) return writer;
    }
    return assert.fail(`partition ${partition} has no owner`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const writer of this.writers) await writer.close();
    for (const presence of this.#presences) await presence[Symbol.asyncDispose]();
    await this.store.close();
  }
}

/** Everything decided, without the numbers of bans: those depend on who was first in the same second. */
export async function decisionsIn(store: Store): Promise<readonly object[]> {
  return store.rows(
    `select net, scope, level, reason, vote, ports, started_ms, until_ms, ended_ms, end_reason, evidence::text
     from bans order by started_ms, scope, net, coalesce(ended_ms, 0)`,
  );
}

/** What is wrong with numbers and order logs; empty when each is given once and none is left out. */
export async function disorderIn(store: Store): Promise<readonly object[]> {
  return store.rows(
    `select 'gap' as what, scope as which from (select scope, count(*) as orders, count(distinct revision) as different,
         min(revision) as first, max(revision) as last from orders group by scope) as logs
       where first <> 1 or last <> orders or different <> orders
         or last <> (select revision from scopes where scopes.scope = logs.scope)
     union all select 'ban without its order', id::text from bans where not exists (select from orders
       where orders.scope = bans.scope and revision = bans.start_revision and "order" ->> 'kind' = 'ban'
         and ("order" ->> 'id')::bigint = bans.id)
     union all select 'ids with a gap', max(id)::text from bans having max(id) <> count(*)
     union all select 'handed over and left', id::text from handed_failures`,
  );
}
