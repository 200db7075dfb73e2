import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockedGrowths, knownLists } from "../../../server/hosts/blocked-growth.ts";

const counts = (packets: number, bytes = packets * 60, list = "all4") => [{ list, packets, bytes }];

test("a host's first report adds nothing, later ones what came on top, and a restarted agent what it counts anew", () => {
  const growths = new BlockedGrowths();
  assert.deepEqual(growths.take("h1", counts(100)), []);
  assert.deepEqual(growths.take("h1", counts(130)), counts(30));
  assert.deepEqual(growths.take("h1", counts(130)), []);
  assert.deepEqual(growths.take("h1", counts(7)), counts(7));
  assert.deepEqual(growths.take("h2", counts(50)), []);
  assert.deepEqual(growths.take("h1", [...counts(7), ...counts(2, 120, "net6")]), counts(2, 120, "net6"));
});

test("an invented number and an invented list do not get into what is summed up", () => {
  const growths = new BlockedGrowths();
  growths.take("h1", counts(0));
  const [grown] = growths.take("h1", counts(Number.MAX_SAFE_INTEGER, 0));
  assert.deepEqual(grown, { list: "all4", packets: 10_000_000_000, bytes: 0 });
  assert.deepEqual(knownLists([...counts(1), ...counts(1, 1, "constructor"), ...counts(1, 1, "x")]), counts(1));
});
