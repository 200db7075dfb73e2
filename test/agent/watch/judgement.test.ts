import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Judgement, type JudgementParts } from "../../../agent/watch/judgement.ts";
import { LogLines } from "../../../agent/watch/log-lines.ts";
import type { WatchedJail } from "../../../agent/watch/watched-jail.ts";
import { clockAt, noon, noonMs } from "../filters/filter-support.ts";
import { jailOf } from "./jail-support.ts";

const filter = {
  ...{ name: "test", prefRegex: null, failRegex: ["^ bad <ADDR>$"], ignoreRegex: [] },
  ...{ datePattern: null, maxLines: 1, dateless: false },
};

function judge(jail: WatchedJail, addresses: readonly string[], parts: Partial<JudgementParts> = {}) {
  const effects = { counted: () => false };
  const usual = { effects, reports: false, evidence: "minimal", nowMs: noonMs, seen: false } as const;
  const judgement = new Judgement({ ...usual, ...parts });
  const lines = Buffer.from(addresses.map((address) => `${noon} bad ${address}\n`).join(""));
  const search = new LogLines([jail], (trouble) => assert.fail(trouble.kind));
  return {
    judgement,
    search: (each: () => void = () => undefined) =>
      search.find(lines, ["/log"], clockAt(noonMs), (watched, found) => {
        judgement.add(watched, found);
        each();
      }),
  };
}

test("a failure is counted while the rest of its stretch is still being searched", async () => {
  const jail = jailOf({ filter, maxRetry: 2 });
  const counts: number[] = [];
  const { judgement, search } = judge(jail, ["192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3"]);
  search(() => counts.push(jail.jail.countedIds()));
  assert.deepEqual(counts, [1, 2, 1, 2]);
  const decided = await judgement.decided();
  assert.deepEqual(
    decided.map(({ decision }) => decision.kind),
    ["ban"],
  );
});

test("a jail that runs a command counts one failure after the other, with the answers before it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-judgement-"));
  try {
    const asked = join(folder, "asked");
    writeFileSync(asked, "");
    const ignoreCommand = `echo <ip> >> ${asked}; test <ip> = 192.0.2.1`;
    const jail = jailOf({ filter, ignoreCommand, maxRetry: 2 });
    const { judgement, search } = judge(jail, ["192.0.2.1", "192.0.2.2", "192.0.2.2"]);
    search();
    assert.equal(jail.jail.countedIds(), 0);
    const decided = await judgement.decided();
    assert.equal(readFileSync(asked, "utf8"), "192.0.2.1\n192.0.2.2\n192.0.2.2\n");
    assert.deepEqual(
      decided.map(({ decision }) => decision.kind),
      ["ignored", "ban"],
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("lines the jails have counted before a restart are for the coordinator only", async () => {
  const jail = jailOf({ filter, maxRetry: 1 });
  const { judgement, search } = judge(jail, ["192.0.2.1", "192.0.2.1"], { seen: true, reports: true });
  search();
  assert.deepEqual(await judgement.decided(), []);
  assert.deepEqual([...judgement.failures], [{ atMs: noonMs, address: "192.0.2.1", jail: "test", count: 2 }]);
});
