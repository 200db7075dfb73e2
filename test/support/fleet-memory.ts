import { DatabaseSync } from "node:sqlite";
import type { OrderPlace, OrderStore } from "../../agent/fleet/orders.ts";
import type { Logger as AgentLogger } from "../../agent/logger.ts";
import { type OutboxStore, openOutbox } from "../../agent/store/outbox.ts";
import { openPositions } from "../../agent/store/positions.ts";
import { additions, schema } from "../../agent/store/schema.ts";
import { openSpool } from "../../agent/store/spool.ts";
import type { Scope } from "../../shared/order.ts";
import { OrderSet, type Standing } from "../../shared/order-set.ts";

export const quietLog: AgentLogger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** The agent's disk, as far as the outbox is concerned, in memory: it outlives the outbox that uses it. */
export class OutboxDisk {
  readonly #database = new DatabaseSync(":memory:");
  readonly #limits: Parameters<typeof openSpool>[1];
  #died = new AbortController();

  constructor(limits?: Parameters<typeof openSpool>[1]) {
    this.#database.exec(`${schema}; ${additions}`);
    this.#limits = limits;
  }

  /** As an agent that starts opens it. */
  open(): OutboxStore {
    const store = openOutbox(this.#database, openSpool(this.#database, this.#limits));
    const { signal } = this.#died;
    return {
      ...store,
      spool: (...given) => (signal.aborted ? { id: 0, droppedRows: 0 } : store.spool(...given)),
      moveTo: (...given) => (signal.aborted ? undefined : store.moveTo(...given)),
    };
  }

  /** As `kill -9`: whoever has it open writes nothing more. */
  die(): void {
    this.#died.abort();
    this.#died = new AbortController();
  }

  /** Up to where `source` is covered. */
  position(source: string): unknown {
    return openPositions(this.#database).load().get(source)?.kept;
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
