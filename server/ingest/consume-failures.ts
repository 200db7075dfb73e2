import { setTimeout as sleep } from "node:timers/promises";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { decodeFailureBatch } from "../../shared/failure-batch.ts";
import { encodeMessage } from "../../shared/fleet-messages.ts";
import { subjects } from "../../shared/subjects.ts";
import type { Events } from "../events.ts";
import { dropHandedFailures } from "../store/handed-failures.ts";
import { ReplacedError } from "../store/replaced-error.ts";
import { type AcknowledgedBatch, type ArrivedBatch, commitBatches } from "./commit-batches.ts";
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
  /** To the coordinator that takes in this host's batches. */
  passOn(host: string, payload: Uint8Array): void;
  /** Ends the pull that waits, or the next one. */
  wake(): void;
  /** Tells the other coordinators that there is something of ours for them in the database. */
  wakeOthers(): void;
  publish(subject: string, payload: Uint8Array): void;
}>;
type RawBatch = Readonly<{ host: string; payload: Uint8Array; ack(): void }>;
type Arrival = Readonly<{ raw: RawBatch; arrived: ArrivedBatch }>;

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

async function consume(parts: IngestParts, closing: AbortSignal): Promise<void> {
  let next = pull(parts);
  // From when there were several coordinators, until none is left of it.
  let mayBeHanded = true;
  while (!closing.aborted) {
    const { arrivals, startedMs } = await next;
    // While the database works on these, the next ones arrive and are read.
    next = pull(parts);
    mayBeHanded ||= parts.writer.isShared();
    if (arrivals.length === 0 && !mayBeHanded) continue;
    const takenOver = await commitUntilDone(parts, arrivals, mayBeHanded ? handedMax : 0, closing);
    if (takenOver === handedMax) parts.source.wake();
    mayBeHanded = takenOver > 0 || parts.writer.isShared();
    if (arrivals.length > 0) parts.events.decided((performance.now() - startedMs) / 1000);
  }
  await next;
}

async function pull({ source, events }: IngestParts) {
  const raws = await source.pullFailures(batchesMax, pullWaitMs);
  const startedMs = performance.now();
  return { startedMs, arrivals: raws.flatMap((raw) => readBatch(raw, events) ?? []) };
}

/** A batch that is none is forgotten: sending it again would not make it better. */
function readBatch(raw: RawBatch, events: Events): Arrival | undefined {
  try {
    const batch = decodeFailureBatch(raw.payload);
    if (batch.badRows > 0) events.refused("bad_row", { host: raw.host, rows: batch.badRows });
    return { raw, arrived: { host: raw.host, batch } };
  } catch (error) {
    events.refused("bad_batch", { host: raw.host, problem: messageOf(error).slice(0, 300) });
    raw.ack();
    return undefined;
  }
}

/** @returns how many parts that others handed over were judged, of at most `handed` */
async function commitUntilDone(
  parts: IngestParts,
  arrivals: readonly Arrival[],
  handed: number,
  closing: AbortSignal,
): Promise<number> {
  let delayMs: number = retryMs.first;
  while (!closing.aborted) {
    try {
      return await commitAndAcknowledge(parts, arrivals, handed);
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
      if (handed > 0 && arrivals.length > 0) {
        await commitUntilDone(parts, arrivals, 0, closing);
        return commitUntilDone(parts, [], handed, closing);
      }
      if (handed > 1) return commitUntilDone(parts, [], 1, closing);
      if (handed === 1) return dropHanded(parts, error);
      const [first, ...rest] = arrivals;
      if (first === undefined) return 0;
      if (rest.length === 0) {
        parts.events.refused("failed_batch", { host: first.raw.host, problem: messageOf(error).slice(0, 300) });
        first.raw.ack();
        return 0;
      }
      const middle = Math.ceil(arrivals.length / 2);
      await commitUntilDone(parts, arrivals.slice(0, middle), 0, closing);
      await commitUntilDone(parts, arrivals.slice(middle), 0, closing);
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

async function commitAndAcknowledge(
  { source, writer, events, fault }: IngestParts,
  arrivals: readonly Arrival[],
  handed: number,
): Promise<number> {
  const result = await commitBatches(
    writer,
    arrivals.map(({ arrived }) => arrived),
    handed,
  );
  for (const { raw } of arrivals) {
    // Handed on before it is forgotten: twice counts once.
    if (result.elsewhere.has(raw.host)) source.passOn(raw.host, raw.payload);
    raw.ack();
  }
  if (result.handedOver || (writer.isShared() && result.commit.orders.length > 0)) source.wakeOthers();
  fault?.("forgotten");
  for (const { host, epoch, sequence } of lastOf(result.acknowledge)) {
    source.publish(subjects.down(host, "ack"), encodeMessage({ epoch, sequence }));
  }
  for (const each of result.acknowledge) events.batchCommitted(each.result);
  for (const host of result.strangers) events.refused("stranger", { host });
  events.failuresCounted(result.lines);
  return result.takenOver;
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
