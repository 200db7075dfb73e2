import { formatNet, parseNet } from "../../shared/address.ts";
import type { FailureBatch } from "../../shared/failure-batch.ts";
import type { Weight } from "../domain/judge.ts";
import { loadCursors, saveCursors } from "../store/cursors.ts";
import { FailureCopy } from "../store/failure-copy.ts";
import type { FailureRow } from "../store/failures.ts";
import { type HostStanding, hostStandings } from "../store/hosts.ts";
import { type LocalBanRow, upsertLocalBans } from "../store/local-bans.ts";
import { plainText } from "../store/plain-text.ts";
import { advance, cursorAtStart } from "./cursor.ts";
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
  /** Hostile lines counted in this commit, by what became of them. */
  lines: Readonly<Partial<Record<Weight, number>>>;
  commit: Commit;
}>;

/** As agents name their lives; anything else is not from an agent of ours. */
const epochPattern = /^[\x21-\x7e]{1,32}$/;

/** What is not kept, even as evidence: it is not an address, or one that is nobody's business. */
const forgotten: ReadonlySet<Weight> = new Set(["invalid", "reserved", "never"]);

/**
 * Takes batches in: all of them in one transaction, each exactly once, in the order of each agent's own sequence.
 * When it throws, nothing was taken; the same batches may simply come again.
 */
export async function commitBatches(writer: JudgeWriter, arrived: readonly ArrivedBatch[]): Promise<IngestResult> {
  const { result, commit } = await writer.turn(null, (turn) => takeIn(turn, arrived));
  return { ...result, commit };
}

async function takeIn(turn: Turn, arrived: readonly ArrivedBatch[]): Promise<Omit<IngestResult, "commit">> {
  const { sql, nowMs } = turn;
  const names = [...new Set(arrived.map((each) => each.host))];
  const standings = await hostStandings(sql, names);
  const strangers = new Set(names.filter((host) => (standings.get(host)?.state ?? "revoked") === "revoked"));
  for (const { host, batch } of arrived) if (!epochPattern.test(batch.epoch)) strangers.add(host);
  const cursors = await loadCursors(sql, names);
  const acknowledge: AcknowledgedBatch[] = [];
  const lines: Partial<Record<Weight, number>> = {};
  const localBans: LocalBanRow[] = [];
  await using failures = new FailureCopy(sql, nowMs);
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
    judgeFailures(turn, standing, batch, failures.rows, lines);
    await failures.sendWhenMany();
  }
  await failures.end();
  await upsertLocalBans(sql, localBans);
  await saveCursors(sql, cursors, nowMs);
  return { acknowledge, strangers: [...strangers], lines };
}

function judgeFailures(
  turn: Turn,
  { host, tenant }: HostStanding,
  batch: FailureBatch,
  rows: FailureRow[],
  lines: Partial<Record<Weight, number>>,
): void {
  for (const { atMs: loggedMs, address, jail, count, sample } of batch.failures) {
    const atMs = Math.max(0, Math.min(loggedMs, turn.nowMs));
    const { weight } = turn.apply({ kind: "failure", atMs, tenant, host, jail, address, count });
    if (weight === null) continue;
    lines[weight] = (lines[weight] ?? 0) + count;
    if (forgotten.has(weight)) continue;
    const kept = sample === undefined ? null : plainText(sample);
    rows.push({ atMs, count, tenant, host, jail, weight, address, sample: kept });
  }
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
