import assert from "node:assert/strict";
import { test } from "node:test";
import { namespacesMissing } from "../support/namespaces.ts";
import { runProgram } from "../support/program.ts";

test("the demo's last line proves what its story tells", async () => {
  const { code, stdout, stderr } = await runProgram("scripts/demo/main.ts", ["--once"]);
  assert.equal(code, 0, stdout + stderr);
  const result = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
  const { bans, ...rest } = result;
  const isReal = namespacesMissing("nft") === false;
  assert.deepEqual(rest, {
    ...{ ok: true, hosts: 3, failures: 9, unbannedOn: 3 },
    ...{ blockedOn: isReal ? 3 : 0, observed: !isReal },
  });
  const { address } = bans[0];
  assert.deepEqual(
    bans.map(({ msFromLastFailure, ...ban }: { msFromLastFailure: number }) => ban),
    [0, 0, 1].map((level) => ({ address, level, hosts: 3 })),
  );
  for (const { msFromLastFailure } of bans) assert.ok(Number.isInteger(msFromLastFailure) && msFromLastFailure > 0);
});
