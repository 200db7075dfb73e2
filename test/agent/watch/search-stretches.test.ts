import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogChunk } from "../../../agent/logs/log-chunk.ts";
import { StretchSearch } from "../../../agent/watch/search-stretches.ts";

const full = "x".repeat(60_000);

function chunkOf(number: number, text: string, more: Partial<LogChunk> = {}): LogChunk {
  const place = (inode: number) => [{ inode }] as unknown as LogChunk["position"];
  const base = { path: "/log", globs: ["/log"], cut: false, live: false, seen: false };
  const lines = Buffer.from(`${number}${text}\n`);
  return { ...base, previous: place(number - 1), position: place(number), lines, ...more };
}

/** `taken`: first and last number of what came together. */
function searchOf(take: (chunk: LogChunk) => Promise<void> = async () => {}) {
  const found: string[] = [];
  const taken: string[] = [];
  const errors: unknown[] = [];
  const stretches = new StretchSearch({
    find: (chunk) => {
      const numbers = [...chunk.lines.toString().matchAll(/^\d+/gm)].map(([number]) => number);
      const { previous, position } = chunk as unknown as Record<string, [{ inode: number }]>;
      const stretch = `${previous?.[0].inode}<${numbers.join()}=${position?.[0].inode}`;
      found.push(stretch);
      return { stretch, chunk };
    },
    take: async ({ stretch, chunk }) => {
      taken.push(stretch);
      await take(chunk);
    },
    onError: (_path, error) => errors.push(error),
  });
  return { stretches, found, taken, errors };
}

test("a chunk that ends what there is to read is taken before it is settled", async () => {
  const { stretches, taken } = searchOf();
  await stretches.add(chunkOf(1, "short"));
  assert.deepEqual(taken, ["0<1=1"]);
});

test("full chunks are taken together with what follows, from the first one's place to the last one's", async () => {
  const { stretches, taken } = searchOf();
  for (const number of [1, 2, 3]) await stretches.add(chunkOf(number, full));
  assert.deepEqual(taken, []);
  await stretches.add(chunkOf(4, "short"));
  assert.deepEqual(taken, ["0<1,2,3,4=4"]);
});

test("the tail may use its buffer again at once", async () => {
  const { stretches, taken } = searchOf();
  const chunk = chunkOf(1, full);
  await stretches.add(chunk);
  chunk.lines.fill("9");
  await stretches.flush();
  assert.deepEqual(taken, ["0<1=1"]);
});

test("a megabyte is taken without waiting for more", async () => {
  const { stretches, taken } = searchOf();
  const numbers = Array.from({ length: 18 }, (_, index) => index + 1);
  for (const number of numbers) await stretches.add(chunkOf(number, full));
  assert.deepEqual(taken, [`0<${numbers.join()}=18`]);
});

test("while one stretch is on its way the next is searched, and no further one is read", async () => {
  const inForce = Promise.withResolvers<void>();
  const { stretches, found, taken } = searchOf(() => inForce.promise);
  let added = 0;
  const reading = (async () => {
    for (let number = 1; number <= 54; number += 1) {
      await stretches.add(chunkOf(number, full));
      added = number;
    }
  })();
  while (found.length < 2) await new Promise(setImmediate);
  await new Promise(setImmediate);
  assert.deepEqual([added, found.length, taken.length], [35, 2, 1]);
  inForce.resolve();
  await reading;
  await stretches.flush();
  assert.deepEqual(taken, found);
  assert.equal(taken.length, 3);
});

test("lines that were counted before do not mix with others, and keep their order", async () => {
  const { stretches, taken } = searchOf();
  await stretches.add(chunkOf(1, full, { seen: true }));
  await stretches.add(chunkOf(2, full));
  await stretches.add(chunkOf(3, "short"));
  assert.deepEqual(taken, ["0<1=1", "1<2,3=3"]);
});

test("a full chunk that nothing follows is taken soon, too", async () => {
  const done = Promise.withResolvers<void>();
  const { stretches, taken } = searchOf(async () => done.resolve());
  await stretches.add(chunkOf(1, full));
  await done.promise;
  assert.deepEqual(taken, ["0<1=1"]);
});

test("an error in one stretch is told and does not stop the next", async () => {
  const { stretches, taken, errors } = searchOf(async ({ lines }) => {
    if (lines[0] === 49) throw new Error("broken");
  });
  await stretches.add(chunkOf(1, "short"));
  await stretches.add(chunkOf(2, "short"));
  assert.deepEqual(taken, ["0<1=1", "1<2=2"]);
  assert.equal(errors.length, 1);
});

test("a stretch that cannot be searched is told and does not stop the next", async () => {
  const [taken, errors]: [number[], unknown[]] = [[], []];
  const stretches = new StretchSearch({
    find: ({ lines }) => {
      if (lines[0] === 49) throw new Error("broken");
      return Number(lines.toString().charAt(0));
    },
    take: async (found) => void taken.push(found),
    onError: (_path, error) => errors.push(error),
  });
  for (const number of [1, 2]) await stretches.add(chunkOf(number, "short"));
  assert.deepEqual(taken, [2]);
  assert.equal(errors.length, 1);
});
