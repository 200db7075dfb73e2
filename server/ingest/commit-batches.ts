import { setImmediate } from "node:timers/promises";
import { formatNet, parseNet } from "../../shared/address.ts";
import type { FailureBatch } from "../../shared/failure-batch.ts";
import { partitionOfHost } from "../domain/partition.ts";
import { type HostStanding, loadSenders, saveCursors } from "../store/cursors.ts";
import { takeHandedFailures } from "../store/handed-failures.ts";
import { type LocalBanRow, upsertLocalBans } from "../store/local-bans.ts";
import { plainText } from "../store/plain-text.ts";
import { advance, cursorAtStart } from "./cursor.ts";
import { type Lines, TurnFailures } from "./judge-failures.ts";
import type { Commit, JudgeWriter, Turn } from "./judge-writer.ts";

/** A batch as the bus delivered it; `host` is the one whose credentials allow the subject it came on. */
export type ArrivedBatch = Readonly<{ host: string; batch: FailureBatch }>;

/** A batch whose sender may move its log position: committed now or, for a `duplicate`, before. */
export type AcknowledgedBatch = Readonly<{
  host: string;
  epoch: string;
  sequence: number;
  /** `gap`: counted, but an earlier one has not arrived (and still counts when it does). */
  result: "counted" | "duplicate" | "gap";
}>;

export type IngestResult = Readonly<{
  acknowledge: readonly AcknowledgedBatch[];
  /** Hosts not enrolled, revoked, or without a readable epoch: nothing of theirs is taken, nothing is said to them. */
  strangers: readonly string[];
  /** Hosts whose batches another coordinator takes in; nothing of theirs was taken. */
  elsewhere: ReadonlySet<string>;
  /** Whether failures were handed over to another coordinator. */
  handedOver: boolean;
  /** How many parts that other coordinators handed over were judged. */
  takenOver: number;
  /** Hostile lines counted in this commit, by what became of them. */
  lines: Readonly<Lines>;
  commit: Commit;
}>;

/** Batches read in one go: some 5 ms. */
const batchesAtOnce = 200;
/** As agents name their lives; anything else is not from an agent of ours. */
const epochPattern = /^[\x21-\x7e]{1,32}$/;

/**
 * Takes batches in: all of them in one transaction, each exactly once, in the order of each agent's own sequence.
 * When it throws, nothing was taken; the same batches may simply come again.
 *
 * @param arrived    is gone through once for each time the turn is tried
 * @param handedMax  how much of what other coordinators handed over is judged in the same transaction: so many parts, each
 *                   of one of their transactions
 */
export async function commitBatches(
  writer: JudgeWriter,
  arrived: Iterable<ArrivedBatch>,
  handedMax = 0,
): Promise<IngestResult> {
  const { result, commit } = await writer.overlap((turn) => takeIn(turn, arrived, handedMax));
  return { ...result, commit };
}

async function takeIn(
  turn: Turn,
  arrived: Iterable<ArrivedBatch>,
  handedMax: number,
): Promise<Omit<IngestResult, "commit">> {
  const { sql, nowMs } = turn;
  await using failures = new TurnFailures(turn);
  const { cursors, localBans, ...told } = await tellJudge(turn, failures, arrived, handedMax);
  // The next turn is judged while the database takes the rest of this one.
  await turn.judged(cursors);
  await failures.write();
  turn.copied();
  await upsertLocalBans(sql, localBans);
  await saveCursors(sql, cursors, nowMs);
  const { handed: handedOver, lines } = failures;
  return { ...told, handedOver, lines };
}

/** What was read for it is garbage afterwards: nobody holds it while it is written. */
async function tellJudge(turn: Turn, failures: TurnFailures, batches: Iterable<ArrivedBatch>, handedMax: number) {
  const { sql, nowMs } = turn;
  const arrived: ArrivedBatch[] = [];
  const elsewhere = new Set<string>();
  for (const each of batches) {
    if (turn.share === null || turn.share.has(partitionOfHost(each.host))) arrived.push(each);
    else elsewhere.add(each.host);
    // The transaction before goes on meanwhile.
    if (arrived.length % batchesAtOnce === 0) await setImmediate();
  }
  // Everything is read before the first failure: while failures are copied the connection does nothing else.
  const handed = handedMax === 0 ? [] : await takeHandedFailures(sql, turn.share, handedMax);
  const names = [...new Set(arrived.map((each) => each.host))];
  const { standings, cursors } = await loadSenders(sql, names);
  const strangers = new Set(names.filter((host) => (standings.get(host)?.state ?? "revoked") === "revoked"));
  for (const { host, batch } of arrived) if (!epochPattern.test(batch.epoch)) strangers.add(host);
  if (turn.moved !== undefined) cursors.overtake(turn.moved);
  const acknowledge: AcknowledgedBatch[] = [];
  const localBans: LocalBanRow[] = [];
  for (const part of handed) {
    // The policy may have changed the partitions since: what is not ours goes on to whose it is.
    for (const failure of part) failures.judge(failure, true);
    await failures.writeWhenMany();
  }
  // An agent resends everything it has in flight at once; its own sequence is the order in which it happened.
  for (const { host, batch } of arrived.toSorted((one, other) => one.batch.sequence - other.batch.sequence)) {
    const standing = standings.get(host);
    if (standing === undefined || strangers.has(host)) continue;
    const { epoch, sequence } = batch;
    const step = advance(cursors.get(host, epoch) ?? cursorAtStart, sequence);
    if (step.kind === "duplicate") {
      acknowledge.push({ host, epoch, sequence, result: "duplicate" });
      continue;
    }
    cursors.set(host, epoch, step.cursor);
    acknowledge.push({ host, epoch, sequence, result: step.gap ? "gap" : "counted" });
    localBans.push(...readLocalBans(standing, batch, nowMs));
    if (!standing.contribute) continue;
    const { tenant } = standing;
    for (const { atMs: loggedMs, address, jail, count, sample: line } of batch.failures) {
      const atMs = Math.max(0, loggedMs);
      const sample = line === undefined ? null : plainText(line);
      failures.judge({ atMs, tenant, host, jail, address, count, sample }, false);
    }
    await failures.writeWhenMany();
  }
  return { cursors, localBans, acknowledge, strangers: [...strangers], elsewhere, takenOver: handed.length };
}

/** Rows that do not name a network are dropped; a ban made in the future was made now. */
function readLocalBans({ host, tenant }: HostStanding, batch: FailureBatch, nowMs: number): LocalBanRow[] {
  return batch.localBans.flatMap(({ net, jail, atMs, untilMs }) => {
    const parsed = parseNet(net);
    if (parsed === undefined) return [];
    const startedMs = Math.max(0, Math.min(atMs, nowMs));
    const endMs = untilMs === null ? null : Math.max(0, Math.min(untilMs, Number.MAX_SAFE_INTEGER));
    return [{ host, tenant, jail, net: formatNet(parsed), startedMs, untilMs: endMs }];
  });
}
