import { setTimeout as sleep } from "node:timers/promises";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { decodeFailureBatch, type FailureBatch } from "../../shared/failure-batch.ts";
import { encodeMessage } from "../../shared/fleet-messages.ts";
import { subjects } from "../../shared/subjects.ts";
import type { RawBatch } from "../bus/bus.ts";
import type { Events } from "../events.ts";
import { dropHandedFailures } from "../store/handed-failures.ts";
import { ReplacedError } from "../store/replaced-error.ts";
import { type AcknowledgedBatch, type ArrivedBatch, commitBatches, type IngestResult } from "./commit-batches.ts";
import type { FaultPoint, JudgeWriter } from "./judge-writer.ts";

/** Batches of one transaction: more only makes each agent wait longer for its acknowledgement. */
const batchesMax = 500;
const pullWaitMs = 1000;
/** Parts that others handed over, of one transaction: as many failures as a transaction of batches has. */
const handedMax = 100;
/** A database that is away is asked again at this pace; the agents hold what they have. */
const retryMs = { first: 100, longest: 5000 } as const;

/** What the ingest needs of the bus. */
export type FailureSource = Readonly<{
  pullFailures(countMax: number, waitMs: number): Promise<readonly RawBatch[]>;
  /** Resolves when the bus has forgotten them. */
  acknowledge(batches: readonly RawBatch[]): Promise<void>;
  /** For the coordinator that takes in their hosts' batches. */
  giveBack(batches: readonly RawBatch[]): void;
  /** Ends the pull that waits, or the next one. */
  wake(): void;
  /** Tells the other coordinators that there is something of ours for them in the database. */
  wakeOthers(): void;
  publish(subject: string, payload: Uint8Array): void;
}>;
export type IngestParts = Readonly<{
  source: FailureSource;
  writer: JudgeWriter;
  events: Events;
  /** Another coordinator writes now; this one must end. */
  replaced?: (error: ReplacedError) => void;
  fault?: ((point: FaultPoint) => void) | undefined;
}>;

/**
 * Takes failures from the bus for as long as it runs: pull, commit, and only then acknowledge, to the bus and to the
 * agents. Whatever fails in between happens again and counts once.
 */
export function startIngest(parts: IngestParts): AsyncDisposable {
  const closing = new AbortController();
  const running = consume(parts, closing.signal);
  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
    },
  };
}

async function consume(given: IngestParts, closing: AbortSignal): Promise<void> {
  const telling = new Set<Promise<void>>();
  const parts = { ...given, telling };
  // From when there were several coordinators, until none is left of it.
  let mayBeHanded = true;
  // Two at most: while the database works on one, the next is pulled, read and judged.
  let [older, newer] = [Promise.resolve(), Promise.resolve()];
  while (!closing.aborted) {
    await older;
    // As late as possible: what arrives until then goes along.
    await parts.writer.free();
    const raws = await parts.source.pullFailures(batchesMax, pullWaitMs);
    const startedMs = performance.now();
    mayBeHanded ||= parts.writer.isShared();
    if (raws.length === 0 && !mayBeHanded) continue;
    const commit = async (): Promise<void> => {
      const takenOver = await commitUntilDone(parts, raws, mayBeHanded ? handedMax : 0, closing);
      if (takenOver === handedMax) parts.source.wake();
      mayBeHanded = takenOver > 0 || parts.writer.isShared();
      if (raws.length > 0) parts.events.decided((performance.now() - startedMs) / 1000);
    };
    older = newer;
    newer = commit();
    if (mayBeHanded) await newer;
  }
  await Promise.all([older, newer]);
  await Promise.all(telling);
}

/** `telling`: who is being told of what is committed; nobody waits for it but the end. */
type Consuming = IngestParts & Readonly<{ telling: Set<Promise<void>> }>;

/** Reads them each time it is gone through: what the judge has been told of is not kept until it is committed. */
function reading(raws: readonly RawBatch[], events: Events): Iterable<ArrivedBatch> {
  return {
    *[Symbol.iterator]() {
      for (const { host, payload } of raws) {
        const batch = readBatch(host, payload, events);
        if (batch !== undefined) yield { host, batch };
      }
    },
  };
}

/** A batch that is none is acknowledged to the bus like the others: sending it again would not make it better. */
function readBatch(host: string, payload: Uint8Array, events: Events): FailureBatch | undefined {
  try {
    const batch = decodeFailureBatch(payload);
    if (batch.badRows > 0) events.refused("bad_row", { host, rows: batch.badRows });
    return batch;
  } catch (error) {
    events.refused("bad_batch", { host, problem: messageOf(error).slice(0, 300) });
    return undefined;
  }
}

/** @returns how many parts that others handed over were judged, of at most `handed` */
async function commitUntilDone(
  parts: Consuming,
  raws: readonly RawBatch[],
  handed: number,
  closing: AbortSignal,
): Promise<number> {
  let delayMs: number = retryMs.first;
  while (!closing.aborted) {
    try {
      return await commitAndAcknowledge(parts, raws, handed);
    } catch (error) {
      if (error instanceof Fleet2banError && error.code === "unavailable") {
        parts.events.log.warn({ problem: messageOf(error), delayMs }, "could not commit failures, trying again");
        await sleep(delayMs, undefined, { signal: closing }).catch(() => undefined);
        delayMs = Math.min(delayMs * 2, retryMs.longest);
        continue;
      }
      if (error instanceof ReplacedError) {
        parts.replaced?.(error);
        return 0;
      }
      // One of them cannot be committed; halves find it, and the others do not suffer for it.
      if (handed > 0 && raws.length > 0) {
        await commitUntilDone(parts, raws, 0, closing);
        return commitUntilDone(parts, [], handed, closing);
      }
      if (handed > 1) return commitUntilDone(parts, [], 1, closing);
      if (handed === 1) return dropHanded(parts, error);
      const [first, ...rest] = raws;
      if (first === undefined) return 0;
      if (rest.length === 0) {
        parts.events.refused("failed_batch", { host: first.host, problem: messageOf(error).slice(0, 300) });
        await parts.source.acknowledge([first]);
        return 0;
      }
      const middle = Math.ceil(raws.length / 2);
      await commitUntilDone(parts, raws.slice(0, middle), 0, closing);
      await commitUntilDone(parts, raws.slice(middle), 0, closing);
      return 0;
    }
  }
  return 0;
}

/** Gives up the oldest part that others handed over, which cannot be judged. */
async function dropHanded({ writer, events }: IngestParts, error: unknown): Promise<number> {
  const { result: dropped } = await writer.turn(null, ({ sql, share }) => dropHandedFailures(sql, share));
  events.refused("failed_batch", { problem: messageOf(error).slice(0, 300), parts: dropped });
  return dropped;
}

async function commitAndAcknowledge(parts: Consuming, raws: readonly RawBatch[], handed: number): Promise<number> {
  const { source, writer, events, telling } = parts;
  const result = await commitBatches(writer, reading(raws, events), handed);
  if (result.handedOver || (writer.isShared() && result.commit.orders.length > 0)) source.wakeOthers();
  for (const each of result.acknowledge) events.batchCommitted(each.result);
  for (const host of result.strangers) events.refused("stranger", { host });
  events.failuresCounted(result.lines);
  const told = tell(parts, raws, result).catch((error: unknown) => {
    events.log.error({ err: error, event: "not_told" }, "agents do not hear of a commit, and will send it again");
  });
  telling.add(told);
  void told.then(() => telling.delete(told));
  return result.takenOver;
}

/** Of what is committed: first the bus, which forgets it, then whose it is. */
async function tell({ source, fault }: IngestParts, raws: readonly RawBatch[], result: IngestResult): Promise<void> {
  const isElsewhere = ({ host }: RawBatch) => result.elsewhere.has(host);
  source.giveBack(raws.filter(isElsewhere));
  // An agent sends its next batch as soon as it hears of this one; until the bus has forgotten this one it takes no other.
  await source.acknowledge(raws.filter((raw) => !isElsewhere(raw)));
  fault?.("forgotten");
  for (const { host, epoch, sequence } of lastOf(result.acknowledge)) {
    source.publish(subjects.down(host, "ack"), encodeMessage({ epoch, sequence }));
  }
}

/** An agent that resent itself several times needs to hear of the last one only. */
function lastOf(acknowledged: readonly AcknowledgedBatch[]): Iterable<AcknowledgedBatch> {
  const last = new Map<string, AcknowledgedBatch>();
  for (const each of acknowledged) {
    const key = `${each.host} ${each.epoch}`;
    if ((last.get(key)?.sequence ?? 0) <= each.sequence) last.set(key, each);
  }
  return last.values();
}
