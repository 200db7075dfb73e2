import assert from "node:assert/strict";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import type { Logger } from "../../../agent/logger.ts";
import type { LogChunk } from "../../../agent/logs/log-chunk.ts";
import { type FileTail, openFileTail, type TailOptions } from "../../../agent/logs/tail-files.ts";

export const quietLog: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export type Received = Omit<LogChunk, "lines"> & Readonly<{ text: string }>;

/** A directory with `app.log`, its writer, its rotation, and an agent that may be down. */
export class FollowedLog {
  readonly directory = mkdtempSync(join(tmpdir(), "fleet2ban-logs-"));
  readonly path = join(this.directory, "app.log");
  readonly written: string[] = [];
  readonly received: Received[] = [];
  readonly messages: string[] = [];
  /** What a caller would have in its store. */
  readonly saved = new Map<string, { acknowledged: unknown; seen: unknown }>();
  nowMs = 1_700_000_000_000;
  tail: FileTail | undefined;

  constructor(context: TestContext) {
    context.after(async () => {
      await this.stop();
      rmSync(this.directory, { recursive: true, force: true });
    });
  }

  /** Writes whole lines, each unlike any other. */
  write(count = 1, path = this.path): void {
    const lines = Array.from({ length: count }, (_, index) => `line ${this.written.length + index} of the log`);
    this.written.push(...lines);
    appendFileSync(path, lines.map((line) => `${line}\n`).join(""));
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

  /** logrotate's default; `create` makes the new file as logrotate does. */
  rotateByRename({ create = true, compress = false } = {}): void {
    this.#shift();
    renameSync(this.path, `${this.path}.1`);
    if (create) writeFileSync(this.path, "");
    if (compress) this.compress(1);
  }

  rotateByCopy({ compress = false } = {}): void {
    this.#shift();
    copyFileSync(this.path, `${this.path}.1`);
    truncateSync(this.path);
    if (compress) this.compress(1);
  }

  compress(rotation: number): void {
    writeFileSync(`${this.path}.${rotation}.gz`, gzipSync(readFileSync(`${this.path}.${rotation}`)));
    rmSync(`${this.path}.${rotation}`);
  }

  lines(): string[] {
    return this.received.flatMap((each) => each.text.split("\n").slice(0, -1));
  }

  assertAllOnce(): void {
    assert.deepEqual(this.lines(), this.written);
  }

  #shift(): void {
    for (let rotation = 60; rotation >= 1; rotation -= 1) {
      for (const extension of ["", ".gz"]) {
        const from = `${this.path}.${rotation}${extension}`;
        if (existsSync(from)) renameSync(from, `${this.path}.${rotation + 1}${extension}`);
      }
    }
  }

  #receive(chunk: LogChunk): void {
    this.received.push({ ...chunk, text: chunk.lines.toString() });
    // Through JSON, as a store would keep it.
    const position = JSON.parse(JSON.stringify(chunk.position));
    this.saved.set(chunk.path, { acknowledged: undefined, seen: position });
  }
}
