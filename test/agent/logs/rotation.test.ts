import assert from "node:assert/strict";
import {
  appendFileSync,
  closeSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { test } from "node:test";
import { FollowedLog } from "./followed-log.ts";

test("a renamed log is read to its end before the new one", async (t) => {
  const log = new FollowedLog(t);
  log.write(3);
  await log.start().readNow();
  log.write(2);
  log.rotateByRename();
  log.write(2);
  await log.read();
  log.assertAllOnce();
});

test("late writes to a renamed log are read for ten seconds, by the descriptor its writer holds", async (t) => {
  const log = new FollowedLog(t);
  log.write(1);
  await log.start().readNow();
  log.rotateByRename();
  await log.read();
  log.write(1);
  await log.read();
  log.nowMs += 9_000;
  log.write(2, `${log.path}.1`);
  await log.read();
  log.write(1);
  await log.read();
  log.assertAllOnce();
  log.nowMs += 2_000;
  await log.read();
  log.write(1);
  await log.read();
  log.assertAllOnce();
});

test("a log whose writer goes on in the renamed file until it is told is followed all the way", async (t) => {
  const log = new FollowedLog(t);
  log.write(1);
  await log.start().readNow();
  log.rotateByRename({ create: false });
  for (let round = 0; round < 3; round += 1) {
    log.nowMs += 20_000;
    log.write(1, `${log.path}.1`);
    await log.read();
  }
  log.write(2);
  await log.read();
  log.assertAllOnce();
});

test("two renames between two looks lose nothing", async (t) => {
  const log = new FollowedLog(t);
  log.write(2);
  await log.start().readNow();
  log.write(1);
  log.rotateByRename();
  log.write(2);
  log.rotateByRename();
  log.write(2);
  await log.read();
  log.assertAllOnce();
});

test("a rotated log that was deleted, or moved elsewhere, is still read to its end", async (t) => {
  const log = new FollowedLog(t);
  log.write(2);
  await log.start().readNow();
  log.write(1);
  log.rotateByRename();
  rmSync(`${log.path}.1`);
  log.write(1);
  await log.read();
  log.assertAllOnce();
});

for (const compress of [false, true]) {
  const how = compress ? ", the copy compressed" : "";

  test(`copytruncate with unread lines${how}: they are read from the copy`, async (t) => {
    const log = new FollowedLog(t);
    log.write(3);
    await log.start().readNow();
    log.write(4);
    log.rotateByCopy({ compress });
    log.write(1);
    await log.read();
    log.assertAllOnce();
  });

  test(`copytruncate and grown past the old offset${how}: recognised all the same`, async (t) => {
    const log = new FollowedLog(t);
    log.write(3);
    await log.start().readNow();
    log.write(1);
    log.rotateByCopy({ compress });
    log.write(40);
    await log.read();
    log.assertAllOnce();
  });

  test(`agent down over one rename${how}`, async (t) => {
    const log = new FollowedLog(t);
    log.write(3);
    await log.live();
    log.write(2);
    log.rotateByRename({ compress });
    log.write(2);
    await log.live();
    log.assertAllOnce();
  });

  test(`agent down over three renames${how}`, async (t) => {
    const log = new FollowedLog(t);
    log.write(3);
    await log.live();
    for (let round = 0; round < 3; round += 1) {
      log.write(2);
      log.rotateByRename({ compress });
      log.write(1);
    }
    await log.live();
    log.assertAllOnce();
  });

  test(`agent down over copytruncate, twice${how}`, async (t) => {
    const log = new FollowedLog(t);
    log.write(3);
    await log.live();
    log.write(2);
    log.rotateByCopy({ compress });
    log.write(20);
    log.rotateByCopy({ compress });
    log.write(2);
    await log.live();
    log.assertAllOnce();
  });
}

test("copytruncate with the same first line in every file is told apart by the bytes before the offset", async (t) => {
  const log = new FollowedLog(t);
  const header = () => {
    log.written.push("# the same header line");
    appendFileSync(log.path, "# the same header line\n");
  };
  header();
  log.write(3);
  await log.live();
  log.rotateByCopy();
  header();
  log.write(30);
  await log.live();
  log.rotateByRename();
  header();
  log.write(3);
  await log.live();
  log.assertAllOnce();
});

test("logs rotated with a date in their name are found again", async (t) => {
  const log = new FollowedLog(t);
  log.write(3);
  await log.live();
  log.write(1);
  renameSync(log.path, `${log.path}-20261121`);
  log.write(2);
  renameSync(log.path, `${log.path}-20261122`);
  log.write(2);
  await log.live();
  log.assertAllOnce();
});

test("a log truncated without a copy is read from its start, and the loss is said", async (t) => {
  const log = new FollowedLog(t);
  log.write(3);
  const tail = log.start();
  await log.read();
  truncateSync(log.path);
  log.write(1);
  await log.read();
  log.assertAllOnce();
  assert.equal(tail.counts.lostPlaces, 1);
});

test("an empty log that was rotated while the agent was down is found by its inode", async (t) => {
  const log = new FollowedLog(t);
  writeFileSync(log.path, "");
  log.write(1);
  await log.live();
  log.rotateByRename();
  await log.live();
  log.write(2);
  log.rotateByRename();
  log.write(1);
  await log.live();
  log.assertAllOnce();
});

test("a restart while a renamed log is drained reads its late lines", async (t) => {
  const log = new FollowedLog(t);
  log.write(2);
  await log.start().readNow();
  log.rotateByRename();
  log.write(1);
  await log.read();
  await log.stop();
  log.write(1, `${log.path}.1`);
  await log.live();
  log.assertAllOnce();
});

test("compressing a rotated log while it is drained gives no line twice", async (t) => {
  const log = new FollowedLog(t);
  log.write(2);
  await log.start().readNow();
  const writer = openSync(log.path, "a");
  log.rotateByRename();
  await log.read();
  log.written.push("late");
  writeSync(writer, "late\n");
  closeSync(writer);
  log.compress(1);
  log.rotateByRename();
  log.write(1);
  await log.read();
  log.assertAllOnce();
});

test("a broken compressed file does not keep the log from being read", async (t) => {
  const log = new FollowedLog(t);
  log.write(2);
  await log.live();
  log.rotateByRename();
  writeFileSync(`${log.path}.2.gz`, "no gzip");
  log.write(2);
  await log.live();
  log.assertAllOnce();
});

test("lines written to an empty log and copied away before anyone looked are read from the copy", async (t) => {
  const log = new FollowedLog(t);
  log.write(2);
  await log.start().readNow();
  log.rotateByRename();
  await log.read();
  log.write(2);
  log.rotateByCopy();
  log.write(1);
  await log.read();
  log.assertAllOnce();
});

for (const firstSeed of [1, 7, 20261122]) {
  test(`rotation at random, with the agent up and down, loses nothing and repeats nothing (${firstSeed})`, async (t) => {
    let seed = firstSeed;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    const log = new FollowedLog(t);
    log.write(1);
    for (let step = 0; step < 300; step += 1) {
      const actions = [
        () => log.write(1 + random(5)),
        () => log.write(1 + random(5)),
        () => log.read(),
        () => (log.tail === undefined ? void log.start() : log.read()),
        () => log.stop(),
        () => log.rotateByRename({ compress: random(3) === 0 }),
        () => log.rotateByCopy({ compress: random(3) === 0 }),
        () => log.pass(random(15_000)),
      ];
      // Enough for the sixty rotations that are kept.
      if (step % 20 === 0) await log.live();
      await actions[random(actions.length)]?.();
    }
    await log.live();
    assert.deepEqual(new Set(log.lines()), new Set(log.written));
    assert.equal(log.lines().length, log.written.length);
    const left = readdirSync("/proc/self/fd").flatMap((fd) => linkOf(`/proc/self/fd/${fd}`));
    assert.deepEqual(
      left.filter((target) => target.startsWith(log.directory)),
      [],
      "descriptors left open",
    );
  });
}

function linkOf(path: string): string[] {
  try {
    return [readlinkSync(path)];
  } catch {
    return [];
  }
}
