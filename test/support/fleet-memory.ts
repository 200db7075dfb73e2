import type { OrderPlace, OrderStore } from "../../agent/fleet/orders.ts";
import type { InFlightBatch, OutboxStore } from "../../agent/fleet/outbox.ts";
import type { Logger as AgentLogger } from "../../agent/logger.ts";
import type { Scope } from "../../shared/order.ts";
import { OrderSet, type Standing } from "../../shared/order-set.ts";

export const quietLog: AgentLogger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** The agent's disk, as far as the outbox is concerned: it outlives the outbox that uses it. */
export class MemoryOutboxStore implements OutboxStore {
  positions = new Map<string, unknown>();
  #epoch = 1;
  #next = 1;
  #inFlight: InFlightBatch | undefined;

  epoch(): string {
    return `life-${this.#epoch}`;
  }
  nextSequence(): number {
    return this.#next;
  }
  inFlight(): InFlightBatch | undefined {
    return this.#inFlight;
  }
  begin(batch: InFlightBatch): void {
    if (batch.sequence !== this.#next || this.#inFlight !== undefined) throw new Error("out of sequence");
    this.#inFlight = batch;
    this.#next += 1;
  }
  acknowledge(sequence: number): boolean {
    if (this.#inFlight?.sequence !== sequence) return false;
    for (const [source, position] of this.#inFlight.positions) this.positions.set(source, position);
    this.#inFlight = undefined;
    return true;
  }
  renewEpoch(): string {
    this.#epoch += 1;
    this.#next = 1;
    this.#inFlight = undefined;
    return this.epoch();
  }
}

/** Keeps what the receiver gives it in its own sets, so that a test can compare memory and disk. */
export class MemoryOrderStore implements OrderStore {
  #observeWord: ReturnType<OrderStore["observeWord"]>;
  readonly #scopes = new Map<Scope, { place: OrderPlace; set: OrderSet }>();

  load(): ReadonlyMap<Scope, OrderPlace & Readonly<{ standing: readonly Standing[] }>> {
    const scopes = [...this.#scopes].map(
      ([scope, { place, set }]) => [scope, { ...place, standing: [...set.entries()] }] as const,
    );
    return new Map(scopes);
  }
  apply(scope: Scope, place: OrderPlace, orders: Parameters<OrderStore["apply"]>[2]): void {
    const { set } = this.#of(scope, place);
    for (const order of orders) set.apply(order, set.revision + 1);
  }
  replace(scope: Scope, place: OrderPlace, standing: Iterable<Standing>): void {
    this.#of(scope, place).set.replace([...standing], place.revision);
  }
  observeWord(): ReturnType<OrderStore["observeWord"]> {
    return this.#observeWord;
  }
  saveObserveWord(word: NonNullable<ReturnType<OrderStore["observeWord"]>>): void {
    this.#observeWord = word;
  }
  drop(scope: Scope): void {
    this.#scopes.delete(scope);
  }
  hash(scope: Scope): string | undefined {
    return this.#scopes.get(scope)?.set.hash;
  }
  #of(scope: Scope, place: OrderPlace): { set: OrderSet } {
    const known = this.#scopes.get(scope) ?? { place, set: new OrderSet() };
    known.place = place;
    this.#scopes.set(scope, known);
    return known;
  }
}
