import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Logger } from "../../../agent/logger.ts";
import type { LogChunk } from "../../../agent/logs/log-chunk.ts";
import { type FileTail, openFileTail, type TailOptions } from "../../../agent/logs/tail-files.ts";
import { RotatingLog } from "../../support/rotating-log.ts";

export const quietLog: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export type Received = Omit<LogChunk, "lines"> & Readonly<{ text: string }>;

/** A directory with `app.log`, its writer, its rotation, and an agent that may be down. */
export class FollowedLog extends RotatingLog {
  readonly directory: string;
  readonly received: Received[] = [];
  readonly messages: string[] = [];
  /** What a caller would have in its store. */
  readonly saved = new Map<string, { kept: unknown; seen: unknown }>();
  nowMs = 1_700_000_000_000;
  tail: FileTail | undefined;

  constructor(context: TestContext) {
    const directory = mkdtempSync(join(tmpdir(), "fleet2ban-logs-"));
    super(directory);
    this.directory = directory;
    context.after(async () => {
      await this.stop();
      rmSync(this.directory, { recursive: true, force: true });
    });
  }

  start(options: Partial<TailOptions> = {}): FileTail {
    const note = (_: object, message: string) => void this.messages.push(message);
    this.tail = openFileTail({
      globs: [{ glob: this.path, start: "head" }],
      saved: this.saved,
      onChunk: (chunk) => this.#receive(chunk),
      log: { debug: note, info: note, warn: note, error: note },
      nowMs: () => this.nowMs,
      // Tests look when they want to.
      pollMs: 1_000_000,
      ...options,
    });
    return this.tail;
  }

  async stop(): Promise<void> {
    await this.tail?.[Symbol.asyncDispose]();
    this.tail = undefined;
  }

  /** Starts, reads all there is, stops: an agent's life. */
  async live(options: Partial<TailOptions> = {}): Promise<void> {
    await this.stop();
    await this.start(options).readNow();
    await this.stop();
  }

  async read(): Promise<void> {
    await this.tail?.readNow();
  }

  pass(ms: number): void {
    this.nowMs += ms;
  }

  lines(): string[] {
    return this.received.flatMap((each) => each.text.split("\n").slice(0, -1));
  }

  assertAllOnce(): void {
    assert.deepEqual(this.lines(), this.written);
  }

  #receive(chunk: LogChunk): void {
    this.received.push({ ...chunk, text: chunk.lines.toString() });
    // Through JSON, as a store would keep it.
    const position = JSON.parse(JSON.stringify(chunk.position));
    this.saved.set(chunk.path, { kept: undefined, seen: position });
  }
}
