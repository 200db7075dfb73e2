import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/** Rotated files that are kept: more than a test makes, or rotation would delete what nobody has read. */
const rotationsKept = 60;

/** A log file, its writer and its rotation. */
export class RotatingLog {
  readonly path: string;
  readonly written: string[] = [];
  readonly #lineOf: (index: number) => string;

  /** @param lineOf  the text of a line by its number from 0; each unlike any other */
  constructor(directory: string, name = "app.log", lineOf = (index: number) => `line ${index} of the log`) {
    mkdirSync(directory, { recursive: true });
    this.path = join(directory, name);
    this.#lineOf = lineOf;
  }

  /** Writes whole lines. */
  write(count = 1, path = this.path): void {
    const lines = Array.from({ length: count }, (_, index) => this.#lineOf(this.written.length + index));
    this.written.push(...lines);
    appendFileSync(path, lines.map((line) => `${line}\n`).join(""));
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

  #shift(): void {
    for (let rotation = rotationsKept; rotation >= 1; rotation -= 1) {
      for (const extension of ["", ".gz"]) {
        const from = `${this.path}.${rotation}${extension}`;
        if (existsSync(from)) renameSync(from, `${this.path}.${rotation + 1}${extension}`);
      }
    }
  }
}
