import type { KeyObject } from "node:crypto";
import { minuteMs } from "../../shared/durations.ts";
import type { Scope } from "../../shared/order.ts";
import { encodeOrderFrame, frameOrdersMax, type OrderFrame } from "../../shared/order-frame.ts";
import type { ScopeLog, Snapshot } from "./scope-log.ts";

/** What is common to every frame now. */
export type FrameContext = Readonly<{
  signingKey: KeyObject;
  epoch: number;
  nowMs: number;
  spreadMs: number;
  /** In a host's own scope. */
  observe?: boolean;
}>;

/** A snapshot serves all who ask within this time; what came since follows as a delta. Making one costs 0.2 s of CPU. */
const snapshotAgeMaxMs = minuteMs;
/** Older ones are kept while agents are still pulling their chunks. */
const snapshotsMax = 3;
/** Different starting points of deltas remembered; after an outage nearly all agents ask from the same. */
const deltasMax = 64;

/** Sent at once to one host: what a line of 1 Mbit/s takes within nats-server's write deadline. */
const answerBytesMax = 128 * 1024;
/** A signature costs 0.1 ms, and after an outage ten thousand hosts ask within seconds. */
const heartbeatAgeMaxMs = 1000;

type MadeSnapshot = Readonly<{ snapshot: Snapshot; chunks: (Buffer | undefined)[] }>;

/** Signed frames of one scope, made once and given to everybody who needs the same. */
export class ScopeFrames {
  readonly #scope: Scope;
  readonly #log: ScopeLog;
  #deltas = new Map<number, readonly Buffer[]>();
  #deltasTo = -1;
  #snapshots: MadeSnapshot[] = [];
  /** What the frames made so far say of it. */
  #observe: boolean | undefined;
  #heartbeat: Readonly<{ frame: Buffer; context: FrameContext; revision: number }> | undefined;

  constructor(scope: Scope, log: ScopeLog) {
    this.#scope = scope;
    this.#log = log;
  }

  heartbeat(context: FrameContext): Buffer {
    const { revision } = this.#log;
    const known = this.#heartbeat;
    if (known !== undefined && known.revision === revision && saysTheSame(known.context, context)) return known.frame;
    const frame = this.#delta(context, revision, [])[0] ?? Buffer.alloc(0);
    this.#heartbeat = { frame, context, revision };
    return frame;
  }

  /** Whether nothing is missing there, so that there is nothing to sign. */
  isCurrent({ revision, hash }: Readonly<{ revision: number; hash: string }>): boolean {
    return revision === this.#log.revision && hash === this.#log.hash;
  }

  /** From `revision` to now, undefined when that needs a snapshot. */
  since(revision: number, context: FrameContext): readonly Buffer[] | undefined {
    this.#heedObserve(context);
    if (this.#deltasTo !== this.#log.revision || this.#deltas.size >= deltasMax) this.#deltas.clear();
    this.#deltasTo = this.#log.revision;
    const known = this.#deltas.get(revision);
    if (known !== undefined) return known;
    const orders = this.#log.since(revision);
    if (orders === undefined) return undefined;
    if (orders.length === 0) return [this.heartbeat(context)];
    const frames = this.#delta(context, revision, orders);
    this.#deltas.set(revision, frames);
    return frames;
  }

  /**
   * The parts of the snapshot at `revision` from `index` on, or the first ones of a current one when that is wanted or the
   * other is gone.
   *
   * @param least  the asker takes no snapshot of an earlier revision
   * @param count  up to the next part whose index this divides, and no more than `answerBytesMax` together
   */
  parts(
    context: FrameContext,
    least: number,
    count: number,
    wanted?: Readonly<{ revision: number; index: number }>,
  ): readonly Buffer[] {
    this.#heedObserve(context);
    const held = this.#snapshots.find((each) => each.snapshot.revision === wanted?.revision);
    const first = held === undefined ? 0 : (wanted?.index ?? 0);
    const made = held ?? this.#current(context.nowMs, least);
    const end = Math.min(made.chunks.length, (Math.floor(first / count) + 1) * count);
    const frames: Buffer[] = [];
    let bytes = 0;
    for (let index = first; index < end; index += 1) {
      const frame = this.#chunk(made, index, context);
      bytes += frame.length;
      if (frames.length > 0 && bytes > answerBytesMax) break;
      frames.push(frame);
    }
    return frames.length === 0 ? [this.heartbeat(context)] : frames;
  }

  /** Frames that say something else would be believed less than the newer word, and keep who was away from hearing it. */
  #heedObserve({ observe }: FrameContext): void {
    if (observe === this.#observe) return;
    this.#observe = observe;
    this.#deltas.clear();
    this.#snapshots = [];
  }

  #chunk({ snapshot, chunks }: MadeSnapshot, index: number, context: FrameContext): Buffer {
    const known = chunks[index];
    if (known !== undefined) return known;
    const frame = encodeOrderFrame(
      {
        ...this.#common(context),
        kind: "snapshot",
        from: 0,
        to: snapshot.revision,
        hash: snapshot.hash,
        orders: snapshot.standing.slice(index * frameOrdersMax, (index + 1) * frameOrdersMax),
        chunk: { index, count: chunks.length },
      },
      context.signingKey,
    );
    chunks[index] = frame;
    return frame;
  }

  #current(nowMs: number, least: number): MadeSnapshot {
    const latest = this.#snapshots.at(-1);
    const fresh = latest !== undefined && nowMs - latest.snapshot.madeMs < snapshotAgeMaxMs;
    // Whoever claims to be ahead of the log must not have one made for every question.
    if (
      fresh &&
      latest.snapshot.revision >= Math.min(least, this.#log.revision) &&
      this.#log.since(latest.snapshot.revision) !== undefined
    )
      return latest;
    const snapshot = this.#log.snapshot(nowMs);
    const count = Math.max(1, Math.ceil(snapshot.standing.length / frameOrdersMax));
    const made = { snapshot, chunks: Array.from<Buffer | undefined>({ length: count }) };
    this.#snapshots = [...this.#snapshots.filter((each) => each.snapshot.revision !== snapshot.revision), made].slice(
      -snapshotsMax,
    );
    return made;
  }

  #delta(context: FrameContext, from: number, orders: OrderFrame["orders"]): readonly Buffer[] {
    const frames: Buffer[] = [];
    let start = 0;
    do {
      const end = Math.min(start + frameOrdersMax, orders.length);
      const last = end === orders.length;
      const frame: OrderFrame = {
        ...this.#common(context),
        kind: "delta",
        from: from + start,
        to: from + end,
        hash: last ? this.#log.hash : null,
        orders: orders.slice(start, end),
        chunk: null,
      };
      frames.push(encodeOrderFrame(frame, context.signingKey));
      start = end;
    } while (start < orders.length);
    return frames;
  }

  #common(context: FrameContext) {
    const { epoch, nowMs: atMs, spreadMs, observe } = context;
    return { scope: this.#scope, epoch, atMs, spreadMs, ...(observe === undefined ? {} : { observe }) };
  }
}

/** Of a moment ago, with the same epoch and span. */
function saysTheSame(before: FrameContext, { signingKey, epoch, spreadMs, observe, nowMs }: FrameContext): boolean {
  const ageMs = nowMs - before.nowMs;
  const isSame =
    before.epoch === epoch &&
    before.spreadMs === spreadMs &&
    before.observe === observe &&
    before.signingKey === signingKey;
  return isSame && ageMs >= 0 && ageMs < heartbeatAgeMaxMs;
}
