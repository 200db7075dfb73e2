import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { LogChunk } from "../../../agent/logs/log-chunk.ts";
import { chunkBytesMax } from "../../../agent/logs/read-chunks.ts";
import { FollowedLog } from "./followed-log.ts";

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("an appended line arrives without waiting for a poll", async (t) => {
  const log = new FollowedLog(t);
  log.write(1);
  await log.start().readNow();
  log.write(1);
  await until(() => log.lines().length === 2, "the second line");
  log.assertAllOnce();
});

test("without any event the poll finds new lines, new files and new directories", async (t) => {
  const log = new FollowedLog(t);
  const directory = join(log.directory, "later", "deeper");
  log.start({ globs: [{ glob: join(log.directory, "later/*/*.log"), start: "tail" }], pollMs: 10 });
  assert.match(log.tail?.status()[0]?.problem ?? "", /waiting/);
  mkdirSync(directory, { recursive: true });
  log.write(2, join(directory, "new.log"));
  await until(() => log.lines().length === 2, "the lines of the new file");
  log.assertAllOnce();
  assert.equal(log.tail?.status()[0]?.problem, null);
});

test("a file that is there at the start is read from its end on with `tail`, from its first line with `head`", async (t) => {
  const log = new FollowedLog(t);
  log.write(3);
  appendFileSync(log.path, "half");
  await log.start({ globs: [{ glob: log.path, start: "tail" }] }).readNow();
  appendFileSync(log.path, " a line\n");
  log.write(1);
  await log.read();
  assert.deepEqual(log.lines(), ["half a line", "line 3 of the log"]);
});

test("a line is given when its newline is written, not before", async (t) => {
  const log = new FollowedLog(t);
  log.write(1);
  appendFileSync(log.path, "Failed password from 192.0.2.1");
  await log.start().readNow();
  assert.deepEqual(log.lines(), log.written);
  appendFileSync(log.path, "5 port 22\n");
  await log.read();
  assert.equal(log.lines().at(-1), "Failed password from 192.0.2.15 port 22");
});

test("the unfinished last line of a rotated log is dropped and counted", async (t) => {
  const log = new FollowedLog(t);
  log.write(1);
  const tail = log.start();
  await log.read();
  appendFileSync(log.path, "Failed password from 192.0.2.1");
  log.rotateByRename();
  log.write(1);
  await log.read();
  log.nowMs += 20_000;
  await log.read();
  log.assertAllOnce();
  assert.equal(tail.counts.halfLines, 1);
});

test("CRLF becomes LF, a lone CR and invalid UTF-8 stay as they are", async (t) => {
  const log = new FollowedLog(t);
  const chunks: Buffer[] = [];
  writeFileSync(log.path, Buffer.from("a\r\nb\rc\n\xff\xfe\r\r\nd\n", "latin1"));
  await log.live({ onChunk: ({ lines }) => void chunks.push(Buffer.from(lines)) });
  assert.equal(Buffer.concat(chunks).toString("latin1"), "a\nb\rc\n\xff\xfe\r\nd\n");
});

test("NUL bytes before a line are skipped: a writer that does not append leaves a hole when its log is truncated", async (t) => {
  const log = new FollowedLog(t);
  log.write(3);
  const tail = log.start();
  await log.read();
  truncateSync(log.path, 0);
  truncateSync(log.path, 200_000);
  log.write(2);
  await log.read();
  log.assertAllOnce();
  assert.equal(tail.counts.nulBytes, 200_000);
});

test("NUL bytes at the end are no lines yet", async (t) => {
  const log = new FollowedLog(t);
  log.write(1);
  appendFileSync(log.path, Buffer.alloc(10));
  await log.start().readNow();
  log.assertAllOnce();
  log.write(1);
  await log.read();
  log.assertAllOnce();
});

test("a line longer than a chunk comes once, cut at a space, and the next line whole", async (t) => {
  const log = new FollowedLog(t);
  const long = `${"word ".repeat(chunkBytesMax)}`;
  writeFileSync(log.path, `before\n${long}`);
  const tail = log.start();
  await log.read();
  appendFileSync(log.path, `${long}\nafter\n`);
  await log.read();
  const [before, cut, after] = log.lines();
  assert.deepEqual([before, after, log.lines().length], ["before", "after", 3]);
  assert.ok(cut?.endsWith(" word") && cut.length < chunkBytesMax);
  assert.deepEqual(
    log.received.map((each) => each.cut),
    [false, true, false],
  );
  assert.equal(tail.counts.longLines, 1);
});

test("a restart in the middle of a line that is too long does not take its rest for a line", async (t) => {
  const log = new FollowedLog(t);
  writeFileSync(log.path, "x".repeat(chunkBytesMax + 1000));
  await log.live();
  appendFileSync(log.path, " Failed password from 192.0.2.1\nafter\n");
  await log.live();
  assert.deepEqual(log.lines().slice(1), ["after"]);
});

test("chunks hold whole lines and never more than 64 KiB, whatever the file", async (t) => {
  const log = new FollowedLog(t);
  log.write(20_000);
  await log.live();
  log.assertAllOnce();
  assert.ok(log.received.length > 5);
  assert.ok(log.received.every((each) => each.text.length <= chunkBytesMax && each.text.endsWith("\n")));
});

test("the next chunk waits for the receiver, and other logs do not", async (t) => {
  const log = new FollowedLog(t);
  const other = join(log.directory, "other.log");
  log.write(10_000);
  writeFileSync(other, "one\n");
  const received: string[] = [];
  const gate = Promise.withResolvers<void>();
  log.start({
    globs: [{ glob: join(log.directory, "*.log"), start: "head" }],
    onChunk: ({ path }) => {
      received.push(path);
      return path === log.path ? gate.promise : undefined;
    },
  });
  await until(() => received.length === 2, "both logs");
  appendFileSync(other, "two\n");
  await until(() => received.length === 3, "the other log again");
  assert.deepEqual(received.filter((path) => path === log.path).length, 1);
  gate.resolve();
  await log.read();
  assert.ok(received.length > 4);
});

test("an error of the receiver is logged and the next lines come", async (t) => {
  const log = new FollowedLog(t);
  log.write(1);
  let calls = 0;
  await log
    .start({
      onChunk: () => {
        calls += 1;
        throw new Error("receiver");
      },
    })
    .readNow();
  log.write(1);
  await log.read();
  assert.equal(calls, 2);
  assert.match(log.messages.join(), /error of our own/);
});

test("lines read while catching up are not live, lines appended later are", async (t) => {
  const log = new FollowedLog(t);
  log.write(1);
  await log.start().readNow();
  log.write(1);
  await log.read();
  log.rotateByRename();
  log.write(1);
  await log.read();
  assert.deepEqual(
    log.received.map((each) => each.live),
    [false, true, true],
  );
});

test("a directory in a log's place is named, tried again, and keeps nothing else from being read", async (t) => {
  const log = new FollowedLog(t);
  const strange = join(log.directory, "strange.log");
  mkdirSync(strange);
  log.write(1);
  await log.start({ globs: [{ glob: join(log.directory, "*.log"), start: "head" }] }).readNow();
  log.assertAllOnce();
  assert.match(log.tail?.status().find((each) => each.path === strange)?.problem ?? "", /not a regular file/);
  rmSync(strange, { recursive: true });
  log.write(1, strange);
  await log.read();
  await log.read();
  log.assertAllOnce();
  assert.ok(log.tail?.status().every((each) => each.problem === null));
});

test("a pipe in a log's place does not hang the agent", async (t) => {
  const log = new FollowedLog(t);
  execFileSync("mkfifo", [log.path]);
  await log.start().readNow();
  assert.match(log.tail?.status()[0]?.problem ?? "", /not a regular file/);
});

test("a log that must not be read is reported with the remedy, once, and read when it may", (t) => {
  const log = new FollowedLog(t);
  log.write(1);
  chmodSync(log.path, 0);
  chmodSync(log.directory, 0o755);
  // Root may read everything: another user must try.
  const script = `
    import { openFileTail } from ${JSON.stringify(import.meta.resolve("../../../agent/logs/tail-files.ts"))};
    const say = (_, message) => console.log(message);
    const tail = openFileTail({
      globs: [{ glob: process.argv[1], start: "head" }], saved: new Map(), nowMs: Date.now, pollMs: 1e6,
      onChunk: ({ lines }) => console.log(lines.toString().trim()),
      log: { debug: say, info: say, warn: say, error: say },
    });
    await tail.readNow();
    await tail.readNow();
    console.log(tail.status()[0].problem === null ? "fine" : "problem");
    (await import("node:fs")).chmodSync(process.argv[1], 0o644);
    await tail.readNow();
    await tail[Symbol.asyncDispose]();`;
  const nobody = 65_534;
  execFileSync("chown", ["nobody", log.path]);
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", script, log.path], {
    uid: nobody,
    gid: nobody,
    encoding: "utf8",
  }).split("\n");
  assert.match(output[0] ?? "", /must not be read by the agent, which keeps trying; run it as root/);
  assert.deepEqual(output.slice(1), ["problem", "line 0 of the log", "the log can be read again", ""]);
});

test("what rotation left behind is not followed as a log of its own, though the glob finds it", async (t) => {
  const log = new FollowedLog(t);
  log.write(2);
  log.rotateByRename();
  log.write(1);
  await log.start({ globs: [{ glob: `${log.path}*`, start: "head" }] }).readNow();
  log.rotateByRename();
  log.write(1);
  await log.read();
  renameSync(`${log.path}.2`, `${log.path}-20261101`);
  await log.read();
  assert.deepEqual(log.lines(), log.written.slice(2));
});

test("one file under two globs, or under a link, comes once, with both globs", async (t) => {
  const log = new FollowedLog(t);
  log.write(1);
  symlinkSync(log.path, join(log.directory, "zlink.log"));
  const globs = [join(log.directory, "a*.log"), join(log.directory, "*.log")];
  await log.start({ globs: globs.map((glob) => ({ glob, start: "head" })) }).readNow();
  log.assertAllOnce();
  assert.deepEqual(log.received[0]?.globs, globs);
});

test("a log that was deleted and comes back is read from its start", async (t) => {
  const log = new FollowedLog(t);
  log.write(2);
  await log.start().readNow();
  rmSync(log.path);
  log.nowMs += 100_000;
  await log.read();
  log.nowMs += 100_000;
  await log.read();
  log.write(2);
  await log.read();
  log.assertAllOnce();
});

test("after a restart the lines between the kept and the seen mark come again, as seen", async (t) => {
  const log = new FollowedLog(t);
  const positions: LogChunk[] = [];
  const onChunk = (chunk: LogChunk) => void positions.push({ ...chunk, lines: Buffer.from(chunk.lines) });
  log.start({ onChunk });
  for (let round = 0; round < 3; round += 1) {
    log.write(2);
    await log.read();
  }
  await log.stop();
  const [first, , last] = positions;
  log.saved.set(log.path, { kept: first?.position, seen: last?.position });
  log.write(1);
  log.rotateByRename();
  log.write(1);
  await log.live();
  const flags = log.received.flatMap(({ text, seen }) =>
    text
      .trimEnd()
      .split("\n")
      .map((line) => ({ line, seen })),
  );
  assert.deepEqual(
    flags,
    log.written.slice(2).map((line, index) => ({ line, seen: index < 4 })),
  );
});

test("each chunk's `previous` is where a restart finds that chunk again", async (t) => {
  const log = new FollowedLog(t);
  log.start();
  for (let round = 0; round < 3; round += 1) {
    log.write(1);
    await log.read();
  }
  const [, second] = log.received;
  log.received.length = 0;
  log.saved.set(log.path, { kept: second?.previous, seen: undefined });
  await log.live();
  assert.deepEqual(log.lines(), log.written.slice(1));
});

test("a saved position that is none counts as nothing saved", async (t) => {
  const log = new FollowedLog(t);
  log.write(1);
  log.saved.set(log.path, { kept: { offset: -1 }, seen: "x" });
  await log.live();
  log.assertAllOnce();
});
