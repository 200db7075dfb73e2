import assert from "node:assert/strict";
import { test } from "node:test";
import { MovedHosts, revocationsOf } from "../../../server/hosts/moved-hosts.ts";
import { dayMs } from "../../../shared/durations.ts";

const present = () => true;
const away = () => false;

test("a host that is away keeps its old credentials, however long: with them alone can it fetch the new ones", () => {
  const moves = new MovedHosts();
  moves.add("h1", 1_000);
  for (const nowMs of [2_000, 70_000, 30 * dayMs]) assert.deepEqual(moves.review(away, nowMs), { tell: [], end: [] });
  assert.deepEqual(moves.review(present, 31 * dayMs), { tell: ["h1"], end: [] });
});

test("a host that is told for a minute and does not come with new credentials loses the old ones", () => {
  const moves = new MovedHosts();
  moves.add("h1", 1_000);
  assert.deepEqual(moves.review(present, 10_000), { tell: ["h1"], end: [] });
  assert.deepEqual(moves.review(present, 69_999), { tell: ["h1"], end: [] });
  assert.deepEqual(moves.review(present, 70_000), { tell: [], end: ["h1"] });
});

test("coming and going wins no time, and nobody loses his credentials before he was told on this connection", () => {
  const moves = new MovedHosts();
  moves.add("h1", 1_000);
  moves.review(present, 10_000);
  moves.review(away, 20_000);
  assert.deepEqual(moves.review(present, 80_000), { tell: ["h1"], end: [] });
  assert.deepEqual(moves.review(present, 90_000), { tell: [], end: ["h1"] });
});

test("a second move begins anew, and the end of the first does not end it", () => {
  const moves = new MovedHosts();
  moves.add("h1", 1_000);
  moves.add("h1", 5_000);
  moves.add("h1", 2_000);
  assert.equal(moves.movedMs("h1"), 5_000);
});

test("a server that starts is told of revoked keys for good, and of moved hosts up to their move", () => {
  const host = { state: "active", publicKey: "U1", credentialsSinceMs: null } as const;
  const told = revocationsOf(
    [host, { ...host, publicKey: "U2", credentialsSinceMs: 7_000 }, { ...host, publicKey: "U3", state: "revoked" }],
    9_000,
  );
  assert.deepEqual(
    [...told],
    [
      ["U2", 7_000],
      ["U3", 9_000 + dayMs],
    ],
  );
});
