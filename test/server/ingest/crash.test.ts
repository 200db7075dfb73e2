import assert from "node:assert/strict";
import { test } from "node:test";
import type { FaultPoint } from "../../../server/ingest/judge-writer.ts";
import { waitFor } from "../../support/wait-for.ts";
import { type Coordinators, openCoordinators } from "./coordinators.ts";

/** `FLEET2BAN_CRASHES=200 npm run test:crash` for the long run; `npm test` ends a file after eight minutes. */
const cycles = Number(process.env.FLEET2BAN_CRASHES ?? 12);
const points: readonly FaultPoint[] = ["begun", "judged", "worked", "written", "committed", "forgotten"];
const cycleMs = 120_000;

/** One offender after the other, each failing once on each host, until stopped. */
function sendOn(fleet: Coordinators) {
  let offenders = 0;
  let isOver = false;
  const send = async (): Promise<void> => {
    while (!isOver) {
      offenders += 1;
      // Each in a network of its own, or the network would be banned for them.
      const address = `2001:db8:${offenders.toString(16)}::1`;
      const failure = { atMs: Date.now(), address, jail: "sshd", count: 1 };
      // One failure on each of three hosts: the ban needs all three, by whichever coordinator each is counted.
      await Promise.all(fleet.hosts.map((host) => host.send([failure, { ...failure, address: "192.0.2.1" }])));
    }
  };
  const sending = send();
  return {
    /** @returns how many offenders there were */
    async stop(): Promise<number> {
      isOver = true;
      await sending;
      return offenders;
    },
  };
}

async function checkAll(fleet: Coordinators, offenders: number): Promise<void> {
  // What was handed over from one coordinator to another is judged after it was acknowledged.
  const isThere = async () => [...(await fleet.miscounted()), ...(await fleet.disorder())].length === 0;
  await waitFor(isThere, "everything to be judged").catch(() => undefined);
  assert.deepEqual([await fleet.miscounted(), await fleet.disorder()], [[], []]);
  const banned = await fleet.store.rows("select net from bans where reason = 'jail sshd'");
  // Each of them, and the one that never stops.
  assert.equal(banned.length, offenders + 1);
}

test(`a coordinator killed ${cycles} times, at every step of its transaction, counts and bans everything once`, {
  timeout: cycles * cycleMs,
}, async () => {
  await using fleet = await openCoordinators(3);
  const traffic = sendOn(fleet);
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    const point = points[cycle % points.length] ?? "begun";
    // Every other round later in its life, after batches that went well.
    const times = 1 + (Math.floor(cycle / points.length) % 3) * 2;
    const doomed = await fleet.start(`${point}:${times}`);
    assert.equal(await doomed.ended, "SIGKILL", doomed.stderr());
    assert.deepEqual(await fleet.disorder(), [], `after ${point} number ${times}`);
  }
  await fleet.start();
  await checkAll(fleet, await traffic.stop());
});

test("one that shares the work is killed at every step of its transaction, and nothing is lost or doubled", {
  timeout: points.length * cycleMs,
}, async () => {
  await using fleet = await openCoordinators(3);
  const leader = await fleet.start();
  const traffic = sendOn(fleet);
  for (const point of points) {
    // Not in its first turns, when it owns nothing yet.
    const doomed = await fleet.start(`${point}:${point === "forgotten" ? 3 : 15}`);
    assert.equal(await doomed.ended, "SIGKILL", doomed.stderr());
  }
  await checkAll(fleet, await traffic.stop());
  assert.equal(leader.ending(), undefined, leader.stderr());
});
