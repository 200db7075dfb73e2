import { setTimeout as sleep } from "node:timers/promises";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { decodeFailureBatch } from "../../shared/failure-batch.ts";
import { encodeMessage } from "../../shared/fleet-messages.ts";
import { subjects } from "../../shared/subjects.ts";
import type { Events } from "../events.ts";
import { ReplacedError } from "../store/fence.ts";
import { type AcknowledgedBatch, type ArrivedBatch, commitBatches } from "./commit-batches.ts";
import type { FaultPoint, JudgeWriter } from "./judge-writer.ts";

/** Batches of one transaction: more only makes each agent wait longer for its acknowledgement. */
const batchesMax = 500;
const pullWaitMs = 1000;
/** A database that is away is asked again at this pace; the agents hold what they have. */
const retryMs = { first: 100, longest: 5000 } as const;

/** What the ingest needs of the bus. */
export type FailureSource = Readonly<{
  pullFailures(countMax: number, waitMs: number): Promise<readonly RawBatch[]>;
  publish(subject: string, payload: Uint8Array): void;
}>;
type RawBatch = Readonly<{ host: string; payload: Uint8Array; ack(): void }>;
type Arrival = Readonly<{ raw: RawBatch; arrived: ArrivedBatch }>;

export type IngestParts = Readonly<{
  source: FailureSource;
  writer: JudgeWriter;
  events: Events;
  /** Another coordinator writes now; this one must end. */
  replaced: (error: ReplacedError) => void;
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
  while (!closing.aborted) {
    const { arrivals, startedMs } = await next;
    // While the database works on these, the next ones arrive and are read.
    next = pull(parts);
    if (arrivals.length === 0) continue;
    await commitUntilDone(parts, arrivals, closing);
    parts.events.decided((performance.now() - startedMs) / 1000);
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

async function commitUntilDone(parts: IngestParts, arrivals: readonly Arrival[], closing: AbortSignal): Promise<void> {
  let delayMs: number = retryMs.first;
  while (!closing.aborted) {
    try {
      await commitAndAcknowledge(parts, arrivals);
      return;
    } catch (error) {
      if (error instanceof Fleet2banError && error.code === "unavailable") {
        parts.events.log.warn({ problem: messageOf(error), delayMs }, "could not commit failures, trying again");
        await sleep(delayMs, undefined, { signal: closing }).catch(() => undefined);
        delayMs = Math.min(delayMs * 2, retryMs.longest);
        continue;
      }
      if (error instanceof ReplacedError) {
        parts.replaced(error);
        return;
      }
      const [first, ...rest] = arrivals;
      if (first === undefined) return;
      if (rest.length === 0) {
        parts.events.refused("failed_batch", { host: first.raw.host, problem: messageOf(error).slice(0, 300) });
        first.raw.ack();
        return;
      }
      // One of them cannot be committed; halves find it, and the others do not suffer for it.
      const middle = Math.ceil(arrivals.length / 2);
      await commitUntilDone(parts, arrivals.slice(0, middle), closing);
      await commitUntilDone(parts, arrivals.slice(middle), closing);
      return;
    }
  }
}

async function commitAndAcknowledge(
  { source, writer, events, fault }: IngestParts,
  arrivals: readonly Arrival[],
): Promise<void> {
  const result = await commitBatches(
    writer,
    arrivals.map(({ arrived }) => arrived),
  );
  for (const { raw } of arrivals) raw.ack();
  fault?.("forgotten");
  for (const { host, epoch, sequence } of lastOf(result.acknowledge)) {
    source.publish(subjects.down(host, "ack"), encodeMessage({ epoch, sequence }));
  }
  for (const each of result.acknowledge) events.batchCommitted(each.result);
  for (const host of result.strangers) events.refused("stranger", { host });
  events.failuresCounted(result.lines);
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
