import { type CurrentPositions, decodeMessage, encodeMessage, SyncRequest } from "../../shared/fleet-messages.ts";
import type { Scope } from "../../shared/order.ts";
import { subjects } from "../../shared/subjects.ts";
import type { Bus } from "../bus/bus.ts";
import type { Logger } from "../logger.ts";
import { ByteBudget } from "./byte-budget.ts";
import type { FrameContext, ScopeFrames } from "./scope-frames.ts";

export type AnswerParts = Readonly<{
  bus: Bus;
  epoch: () => number;
  framesOf: (scope: Scope) => Promise<ScopeFrames>;
  contextOf: (scope: Scope) => FrameContext;
  /** What the host may know; nothing for an unknown one. */
  scopesOf: (host: string) => ReadonlySet<Scope>;
  now: () => number;
  log: Logger;
}>;

/** On their way before we wait for the bus, so that a storm of questions fills neither its buffers nor our memory. */
const bytesInFlightMax = 4 * 1024 * 1024;

/** Brings agents that ask up to date, one after the other, so that ten thousand at once are a queue and not a flood. */
export class SyncAnswers implements AsyncDisposable {
  readonly #parts: AnswerParts;
  readonly #requests = new Map<string, SyncRequest>();
  readonly #budget = new ByteBudget();
  #answering: Promise<void> | undefined;
  #closed = false;
  #limited = 0;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  /** @throws Fleet2banError `invalid` when it is no sync request */
  ask(host: string, payload: Uint8Array): void {
    // One request per host: what it asks now replaces what it asked before.
    this.#requests.set(host, decodeMessage(SyncRequest, payload, `sync of ${host}`));
    this.#answering ??= this.#answerAll().finally(() => {
      this.#answering = undefined;
    });
  }

  limited(): number {
    return this.#limited;
  }

  prune(): void {
    this.#budget.prune(this.#parts.now());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#answering;
  }

  async #answerAll(): Promise<void> {
    let bytes = 0;
    for (;;) {
      const next = this.#requests.entries().next().value;
      if (next === undefined || this.#closed) return;
      const [host, request] = next;
      this.#requests.delete(host);
      try {
        bytes += await this.#answer(host, request);
        if (bytes < bytesInFlightMax) continue;
        bytes = 0;
        await this.#parts.bus.flush();
      } catch (error) {
        this.#parts.log.warn({ err: error, host, event: "sync_failed" }, "could not answer a host; it will ask again");
      }
    }
  }

  /** @returns how many bytes are on their way now */
  async #answer(host: string, request: SyncRequest): Promise<number> {
    let bytes = 0;
    const { contextOf, framesOf, scopesOf } = this.#parts;
    const epoch = this.#parts.epoch();
    const allowed = scopesOf(host);
    const { parts = 1, observing = false } = request;
    const current: CurrentPositions["positions"] = [];
    for (const { scope, hash, ...position } of request.positions) {
      if (!allowed.has(scope)) continue;
      const frames = await framesOf(scope);
      const context = contextOf(scope);
      const knowsEpoch = position.epoch === epoch;
      const continues = knowsEpoch && position.damaged !== true && position.chunk === undefined;
      const { revision } = position;
      const isTold = context.observe === undefined || context.observe === observing;
      if (continues && isTold && hash !== undefined && frames.isCurrent({ revision, hash })) {
        current.push({ scope, epoch, revision });
        continue;
      }
      const delta = continues ? frames.since(position.revision, context) : undefined;
      const least = knowsEpoch ? position.revision : 0;
      const part = position.chunk?.epoch === epoch ? position.chunk : undefined;
      bytes += this.#send(host, delta ?? frames.parts(context, least, parts, part));
    }
    if (current.length === 0) return bytes;
    const told = encodeMessage({ v: 1, positions: current });
    this.#parts.bus.publish(subjects.down(host, "current"), told);
    return bytes + told.length;
  }

  #send(host: string, frames: readonly Buffer[]): number {
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
    if (!this.#budget.take(host, bytes, this.#parts.now())) {
      this.#limited += 1;
      this.#parts.log.warn({ host, bytes, event: "sync_limited" }, "sent nothing to a host that asks for too much");
      return 0;
    }
    for (const frame of frames) this.#parts.bus.publish(subjects.down(host, "sync"), frame);
    return bytes;
  }
}
