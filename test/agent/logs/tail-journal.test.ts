import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  type JournalBatch,
  type JournalOptions,
  type JournalPosition,
  type JournalTail,
  openJournalTail,
} from "../../../agent/logs/tail-journal.ts";
import { wordsFor } from "../../../agent/watch/follow-journals.ts";

/** Package systemd-journal-remote: makes real journal files without a running journald. */
const journalWriter = "/lib/systemd/systemd-journal-remote";
const skip = existsSync(journalWriter) ? false : "systemd-journal-remote is not installed";

const startSeconds = 1_700_000_000;
const id = "0123456789abcdef0123456789abcdef";

class Journal {
  readonly directory = mkdtempSync(join(tmpdir(), "fleet2ban-journal-"));
  readonly batches: JournalBatch[] = [];
  readonly messages: string[] = [];
  tail: JournalTail | undefined;
  #written = 0;

  constructor(context: TestContext) {
    context.after(async () => {
      await this.stop();
      rmSync(this.directory, { recursive: true, force: true });
    });
  }

  write(count: number, comm = "sshd"): void {
    let entries = "";
    for (let index = 0; index < count; index += 1) {
      const micros = (startSeconds + this.#written) * 1_000_000;
      entries += `__REALTIME_TIMESTAMP=${micros}\n__MONOTONIC_TIMESTAMP=${this.#written}\n_BOOT_ID=${id}\n_MACHINE_ID=${id}\n`;
      entries += `_HOSTNAME=web-1\n_COMM=${comm}\n_PID=7\nMESSAGE=message ${this.#written}\n\n`;
      this.#written += 1;
    }
    const file = join(this.directory, "entries.export");
    writeFileSync(file, entries);
    execFileSync(journalWriter, ["-o", join(this.directory, "test.journal"), file], { stdio: "ignore" });
  }

  start(options: Partial<JournalOptions> = {}): void {
    const note = (_: object, message: string) => void this.messages.push(message);
    this.tail = openJournalTail({
      matchesByJail: new Map([["sshd", [["_COMM=sshd"]]]]),
      saved: undefined,
      sinceMs: startSeconds * 1000,
      onBatch: (batch) => void this.batches.push(batch),
      log: { debug: note, info: note, warn: note, error: note },
      nowMs: () => (startSeconds + 1000) * 1000,
      command: ["journalctl", "--directory", this.directory],
      restartMs: { first: 5, longest: 20 },
      ...options,
    });
  }

  async stop(): Promise<void> {
    await this.tail?.[Symbol.asyncDispose]();
    this.tail = undefined;
  }

  get position(): JournalPosition | undefined {
    return this.batches.at(-1)?.position;
  }

  numbers(seen?: boolean): number[] {
    return this.batches
      .filter((batch) => seen === undefined || batch.seen === seen)
      .flatMap(({ lines }) => lines.map(({ text }) => Number(text.split(" ").at(-1))));
  }

  async until(condition: () => boolean): Promise<void> {
    const deadline = Date.now() + 60_000;
    while (!condition()) {
      assert.ok(Date.now() < deadline, `never came; got ${this.numbers()}, said ${this.messages}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

test("a journal is read from its start and followed, each line for the jails it matches", { skip }, async (t) => {
  const journal = new Journal(t);
  journal.write(2);
  journal.write(1, "cron");
  journal.start();
  await journal.until(() => journal.numbers().length === 2);
  journal.write(2);
  await journal.until(() => journal.numbers().length === 4);
  assert.deepEqual(journal.numbers(), [0, 1, 3, 4]);
  const [line] = journal.batches[0]?.lines ?? [];
  assert.deepEqual(line, {
    text: "web-1 sshd[7]: message 0",
    atMs: startSeconds * 1000,
    trusted: { _PID: "7", _COMM: "sshd" },
    jails: ["sshd"],
  });
  assert.equal(journal.tail?.problem(), null);
});

test("journal files named by a glob are read and followed", { skip }, async (t) => {
  const journal = new Journal(t);
  journal.write(2);
  const globs = {
    directory: null,
    files: [join(journal.directory, "*.journal")],
    namespace: null,
    types: [],
    merge: false,
  };
  journal.start({ command: ["journalctl", ...wordsFor(globs)] });
  await journal.until(() => journal.numbers().length === 2);
  journal.write(1);
  await journal.until(() => journal.numbers().length === 3);
  assert.deepEqual(journal.numbers(), [0, 1, 2]);
});

test("a journal never read begins where lines begin to matter", { skip }, async (t) => {
  const journal = new Journal(t);
  journal.write(5);
  journal.start({ sinceMs: (startSeconds + 3) * 1000 });
  await journal.until(() => journal.numbers().length === 2);
  assert.deepEqual(journal.numbers(), [3, 4]);
});

test("a restart goes on after the saved cursor", { skip }, async (t) => {
  const journal = new Journal(t);
  journal.write(3);
  journal.start();
  await journal.until(() => journal.numbers().length === 3);
  await journal.stop();
  journal.write(2);
  journal.start({ saved: { kept: undefined, seen: JSON.parse(JSON.stringify(journal.position)) } });
  await journal.until(() => journal.numbers().length === 5);
  assert.deepEqual(journal.numbers(), [0, 1, 2, 3, 4]);
});

test("lines between the kept and the seen mark come again as seen, also when the seen entry is gone", {
  skip,
}, async (t) => {
  const journal = new Journal(t);
  journal.write(4);
  journal.start();
  await journal.until(() => journal.numbers().length === 4);
  await journal.stop();
  const seen = journal.position;
  const kept = { cursor: cursorOf(journal, 1), micros: (startSeconds + 1) * 1_000_000 };
  for (const mark of [seen, { ...seen, cursor: `${seen?.cursor}0` }]) {
    journal.batches.length = 0;
    journal.start({ saved: { kept, seen: mark } });
    journal.write(1);
    await journal.until(() => journal.numbers(false).length > 0);
    assert.deepEqual(journal.numbers(true), [2, 3]);
    await journal.stop();
  }
});

function cursorOf(journal: Journal, index: number): string {
  const args = ["--directory", journal.directory, "--output=json", "--output-fields=MESSAGE", "--no-pager"];
  const line = execFileSync("journalctl", args, { encoding: "utf8" }).split("\n")[index] ?? "{}";
  return String(JSON.parse(line).__CURSOR);
}

test("a cursor the journal does not understand is replaced by the time, and nothing comes twice", {
  skip,
}, async (t) => {
  const journal = new Journal(t);
  journal.write(4);
  const micros = (startSeconds + 1) * 1_000_000;
  journal.start({ saved: { kept: undefined, seen: { cursor: "nonsense", micros } } });
  await journal.until(() => journal.numbers().length === 2);
  assert.deepEqual(journal.numbers(), [2, 3]);
  assert.match(journal.messages.join(), /seek to cursor/);
});

test("a missing journalctl is said in one sentence with the remedy, once", async (t) => {
  const journal = new Journal(t);
  journal.start({ command: ["/nonexistent/journalctl"] });
  await journal.until(() => (journal.tail?.counts.restarts ?? 0) > 2);
  assert.match(journal.tail?.problem() ?? "", /is not installed; install systemd, or give the jails log files/);
  assert.equal(journal.messages.length, 1);
});

/** Plays a `journalctl` that gives two entries per start, half of a third, and dies. */
const dyingReader = `
  const { appendFileSync } = require("node:fs");
  const after = process.argv.find((each) => each.startsWith("--after-cursor="))?.slice(15);
  appendFileSync(process.argv[1], (after ?? "none") + "\\n");
  const from = after === undefined ? 0 : Number(after.slice(1)) + 1;
  for (let n = from; n < from + 2; n += 1) {
    console.log(JSON.stringify({ __CURSOR: "c" + n, __REALTIME_TIMESTAMP: String(n), _COMM: "sshd", MESSAGE: String(n) }));
  }
  process.stdout.write('{"__CURSOR":"c9');
  console.error("lost the journal");`;

test("a reader that dies is started again after the last whole entry, and its reason is said", async (t) => {
  const journal = new Journal(t);
  const starts = join(journal.directory, "starts");
  journal.start({ command: [process.execPath, "--eval", dyingReader, "--", starts] });
  await journal.until(() => journal.numbers().length >= 6);
  await journal.stop();
  assert.deepEqual(journal.numbers().slice(0, 6), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(readFileSync(starts, "utf8").split("\n").slice(0, 3), ["none", "c1", "c3"]);
  assert.match(journal.messages.join(), /ended and is started again: lost the journal/);
});
