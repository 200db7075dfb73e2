import { pino } from "pino";
import type { Trust } from "../../../server/domain/judge.ts";
import type { ArrivedBatch } from "../../../server/ingest/commit-batches.ts";
import {
  type Commit,
  type FaultPoint,
  type JudgeWriter,
  openJudgeWriter,
} from "../../../server/ingest/judge-writer.ts";
import { insertHost } from "../../../server/store/hosts.ts";
import type { Store } from "../../../server/store/open-store.ts";
import { insertTenant } from "../../../server/store/tenants.ts";
import { minuteMs } from "../../../shared/durations.ts";
import type { Failure, LocalBan } from "../../../shared/failure-batch.ts";
import type { Order, Scope } from "../../../shared/order.ts";
import { freshStore } from "../../support/database.ts";

export const startMs = Date.UTC(2026, 10, 22, 9, 0, 0);
export const attacker = "192.0.2.1";

/** What a second admin is asked for. */
export const askedBan = (net: string) =>
  ({ kind: "ban", net, scope: "fleet", spanMs: null, ports: null, why: "x", reason: "x" }) as const;

/** A database, a fleet and a writer on a clock that moves by hand. */
export type Arena = AsyncDisposable & {
  store: Store;
  writer: JudgeWriter;
  nowMs: number;
  /** Everything the writer told the bus. */
  commits: Commit[];
  /** The next turn breaks here. */
  faultAt: FaultPoint | undefined;
  /** A coordinator that starts after this one ended, or instead of it. */
  another(): Promise<JudgeWriter>;
};

export async function openArena(
  fleet: Readonly<Record<string, readonly string[]>> = { default: ["h1", "h2"] },
): Promise<Arena> {
  const store = await freshStore();
  const old = startMs - 60 * 24 * 60 * minuteMs;
  for (const [name, hosts] of Object.entries(fleet)) {
    const trust: Trust = name === "default" ? "full" : "vote";
    await insertTenant(store, name, trust, old);
    for (const host of hosts) await insertHost(store, { host, tenant: name, publicKey: `U${host}`, nowMs: old });
  }
  const commits: Commit[] = [];
  const another = (): Promise<JudgeWriter> =>
    openJudgeWriter({
      store,
      now: () => arena.nowMs,
      log: pino({ level: "silent" }),
      committed: (commit) => commits.push(commit),
      fault: (point) => {
        if (arena.faultAt !== point) return;
        arena.faultAt = undefined;
        throw new Error(`pulled the plug: ${point}`);
      },
    });
  const arena: Arena = {
    store,
    // Set below: the writer needs the arena's clock.
    writer: undefined as unknown as JudgeWriter,
    nowMs: startMs,
    commits,
    faultAt: undefined,
    another,
    [Symbol.asyncDispose]: async () => {
      await arena.writer.close();
      await store.close();
    },
  };
  arena.writer = await another();
  return arena;
}

type Contents = Readonly<{ failures?: readonly Failure[]; localBans?: readonly LocalBan[]; epoch?: string }>;

export function batchOf(host: string, sequence: number, contents: Contents = {}): ArrivedBatch {
  const { failures = [], localBans = [], epoch = "life1" } = contents;
  return { host, batch: { epoch, sequence, failures, localBans, badRows: 0 } };
}

/** `count` hostile lines of one address, one a second, the last at `lastMs`. */
export function failuresOf(address: string, count: number, lastMs: number, jail = "sshd"): Failure[] {
  return Array.from({ length: count }, (_, index) => ({
    atMs: lastMs - (count - 1 - index) * 1000,
    address,
    jail,
    count: 1,
  }));
}

/** The order log of a scope as the bus heard it; asserts on it show gaps and repetitions. */
export function toldOf(arena: Arena, scope: Scope): readonly Readonly<{ revision: number; order: Order }>[] {
  return arena.commits.flatMap((commit) =>
    commit.orders
      .filter((stretch) => stretch.scope === scope)
      .flatMap(({ from, orders }) => orders.map((order, index) => ({ revision: from + index + 1, order }))),
  );
}
