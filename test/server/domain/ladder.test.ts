import assert from "node:assert/strict";
import { test } from "node:test";
import { day, event, hour, incident, tell, tick } from "./story.ts";

const address = "192.0.2.1";

/** Attacks again and again, one second after each ban's end. */
function relentless(bans: number): string[] {
  const lengths = [hour, hour, day, day, 7 * day, 7 * day, 30 * day, 30 * day];
  let at = 0;
  const events = lengths.slice(0, bans).map((length) => {
    const attack = incident(at, address);
    at += length + 1;
    return attack;
  });
  return tell([...events, tick(at)]);
}
const levels = (told: readonly string[]) => told.map((line) => /L(\d)/.exec(line)?.[1]).filter((level) => level);
const lift = (at: number, reason: string) => event(at, "unban", { net: address, scope: "fleet", reason });

test("a relentless attacker gets 1h 1h 1d 1d 7d 7d 30d 30d", () => {
  const told = relentless(8);
  assert.deepEqual(levels(told), ["0", "0", "1", "1", "2", "2", "3", "3"]);
  let at = 0;
  const expected = [
    [hour, "L0", "22"],
    [hour, "L0", "22"],
    [day, "L1", "all"],
    [day, "L1", "all"],
    [7 * day, "L2", "all"],
    [7 * day, "L2", "all"],
    [30 * day, "L3", "all"],
    [30 * day, "L3", "all"],
  ].flatMap(([length, level, ports]) => {
    const until = at + Number(length);
    const lines = [
      `${at} ban 192.0.2.1/32 fleet ${level} until ${until} ${ports} jail sshd 1h 1t 3f`,
      `${until} unban 192.0.2.1/32 fleet expired`,
    ];
    at = until + 1;
    return lines;
  });
  assert.deepEqual(told, expected);
});

test("the third ban climbs when the first started exactly within ago, and not a second later", () => {
  const third = (at: number) => levels(tell([incident(0, address), incident(3 * day, address), incident(at, address)]));
  assert.deepEqual(third(7 * day), ["0", "0", "1"]);
  assert.deepEqual(third(7 * day + 1), ["0", "0", "0"]);
});

test("quiet time brings it down again: a level holds while its last ban started within its span", () => {
  const climbed = [incident(0, address), incident(2 * hour, address), incident(4 * hour, address)];
  const after = (quiet: number) => levels(tell([...climbed, incident(4 * hour + quiet, address)])).at(-1);
  assert.equal(after(7 * day), "1");
  assert.equal(after(7 * day + 1), "0");
});

test("a ban lifted as false positive does not count; one lifted by an admin does", () => {
  const climb = (reason: string) =>
    levels(tell([incident(0, address), lift(1, reason), incident(2, address), lift(3, "admin"), incident(4, address)]));
  assert.deepEqual(climb("admin"), ["0", "0", "1"]);
  assert.deepEqual(climb("false-positive"), ["0", "0", "0"]);
});

test("an ended ban called a false positive counts no more: all of them when none stands, else only those that stand", () => {
  const ended = [incident(0, address), incident(2 * hour, address)];
  const again = incident(8 * hour, address);
  assert.deepEqual(levels(tell([...ended, again])), ["0", "0", "1"]);
  assert.deepEqual(levels(tell([...ended, lift(6 * hour, "false-positive"), again])), ["0", "0", "0"]);
  assert.deepEqual(levels(tell([...ended, lift(6 * hour, "admin"), again])), ["0", "0", "1"]);
  // The third stands: it is the mistake, and what came before it still counts.
  const third = incident(4 * hour, address);
  assert.deepEqual(levels(tell([...ended, third, lift(5 * hour, "false-positive"), again])), ["0", "0", "1", "1"]);
  const twice = [lift(5 * hour, "false-positive"), lift(6 * hour, "false-positive")];
  assert.deepEqual(levels(tell([...ended, third, ...twice, again])), ["0", "0", "1", "0"]);
});

test("a mistake is told once, of automatic bans of its scope only, and changes no end", () => {
  const byHand = event(0, "ban", { net: address, scope: "fleet", bantime: 1 });
  const mistake = lift(3 * hour, "false-positive");
  const told = tell([byHand, incident(10, address), mistake, mistake, { ...mistake, scope: "tenant:a" }]);
  assert.deepEqual(told.slice(2), [
    `10 ban 192.0.2.1/32 fleet L0 until ${10 + hour} 22 jail sshd 1h 1t 3f`,
    `${10 + hour} unban 192.0.2.1/32 fleet expired`,
    `${3 * hour} mistake 192.0.2.1/32 fleet`,
  ]);
});

test("bans by hand do not count", () => {
  const byHand = (at: number) => event(at, "ban", { net: address, scope: "fleet", bantime: 1 });
  assert.deepEqual(levels(tell([byHand(0), byHand(10), incident(20, address)])), ["0"]);
});

test("each scope has its own history", () => {
  const vote = event(0, "tenant", { tenant: "a", trust: "vote" });
  const inTenant = (at: number) => incident(at, address, { tenant: "a" });
  const told = tell([vote, inTenant(1), inTenant(2 * hour), incident(4 * hour, address)]);
  assert.deepEqual(levels(told), ["0", "0", "0"]);
});

test("a ladder of one rung stays on it", () => {
  const attacks = [0, 1, 2, 3].map((index) => incident(index * 2 * hour, address));
  assert.deepEqual(levels(tell(attacks, { ladder: [{ bantime: "1h" }] })), ["0", "0", "0", "0"]);
});
