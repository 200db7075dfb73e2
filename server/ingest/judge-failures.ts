import { parseAddress } from "../../shared/address.ts";
import type { Judge, Weight } from "../domain/judge.ts";
import { FailureCopy } from "../store/failure-copy.ts";
import { type HandedFailure, handFailures } from "../store/handed-failures.ts";
import type { Sql } from "../store/sql.ts";
import type { Turn } from "./judge-writer.ts";

/** Hostile lines by what became of them. */
export type Lines = Partial<Record<Weight, number>>;

/** What is not kept, even as evidence: it is not an address, or one that is nobody's business. */
const forgotten: ReadonlySet<Weight> = new Set(["invalid", "reserved", "never"]);

/** The failures of one turn: each is judged, then kept or, when another coordinator judges its subject, handed over. */
export class TurnFailures implements AsyncDisposable {
  readonly lines: Lines = {};
  readonly #turn: Turn;
  readonly #handOver: HandOver;
  readonly #copy: FailureCopy;

  constructor(turn: Turn) {
    this.#turn = turn;
    this.#handOver = new HandOver(turn.judge);
    this.#copy = new FailureCopy(turn.sql, turn.nowMs, turn.copiedBefore);
  }

  /** Whether any was handed over. */
  get handed(): boolean {
    return this.#handOver.isAny;
  }

  /** @param admitted  whether it has been held against its host's limits by the one who took it in */
  judge(failure: HandedFailure, admitted: boolean): void {
    const { atMs: takenMs, address, jail, count, tenant, host, sample } = failure;
    // The clock of whoever took it in may be ahead of ours.
    const atMs = Math.min(takenMs, this.#turn.nowMs);
    const read = parseAddress(address);
    const { weight } = this.#turn.apply({ kind: "failure", atMs, tenant, host, jail, address, read, count, admitted });
    if (weight === null) return;
    if (weight === "elsewhere") {
      this.#handOver.add({ ...failure, atMs });
      return;
    }
    this.lines[weight] = (this.lines[weight] ?? 0) + count;
    if (!forgotten.has(weight))
      this.#copy.rows.push({ atMs, count, tenant, host, jail, weight, address, read, sample });
  }

  async writeWhenMany(): Promise<void> {
    await this.#copy.sendWhenMany();
  }

  /** What is left, and waits until all is written. */
  async write(): Promise<void> {
    await this.#copy.end();
    await this.#handOver.write(this.#turn.sql);
  }

  /** Also when the turn breaks: nothing may be under way on its connection when it is rolled back. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#copy[Symbol.asyncDispose]();
  }
}

/** Failures of subjects that another coordinator judges: it finds them in the database. */
class HandOver {
  readonly #judge: Judge;
  readonly #failures = new Map<number, HandedFailure[]>();

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  get isAny(): boolean {
    return this.#failures.size > 0;
  }

  add(failure: HandedFailure): void {
    const partition = this.#judge.partitionOf(failure.address) ?? 0;
    const others = this.#failures.get(partition);
    if (others === undefined) this.#failures.set(partition, [failure]);
    else others.push(failure);
  }

  async write(sql: Sql): Promise<void> {
    await handFailures(sql, this.#failures);
  }
}
