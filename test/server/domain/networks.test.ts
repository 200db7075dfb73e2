import assert from "node:assert/strict";
import { test } from "node:test";
import { day, event, hour, incident, tell, tick, voter } from "./story.ts";

const networksOf = (told: readonly string[]) =>
  told.filter((line) => line.includes(" network ") || line.includes("refused"));

test("the fourth banned address of a /24 bans the /24, after its own ban", () => {
  const attacks = [1, 2, 3, 4].map((last) => incident(last, `192.0.2.${last}`, { host: `h${last % 2}` }));
  assert.deepEqual(tell(attacks).slice(-2), [
    "4 ban 192.0.2.4/32 fleet L0 until 3604 22 jail sshd 1h 1t 3f",
    "4 ban 192.0.2.0/24 fleet L0 until 3604 all network 2h 1t 12f",
  ]);
});

test("three addresses, or four of two networks, do not", () => {
  const attacks = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1"].map((ip) => incident(1, ip));
  assert.deepEqual(networksOf(tell(attacks)), []);
});

test("one address banned four times is one subject", () => {
  const attacks = [0, 1, 2, 3].map((index) => incident(index * 5 * hour, "192.0.2.1"));
  assert.deepEqual(networksOf(tell(attacks)), []);
});

test("bans count while they started exactly a day ago, and not a second longer", () => {
  const attacks = (at: number) => [
    ...[1, 2, 3].map((last) => incident(0, `192.0.2.${last}`)),
    incident(at, "192.0.2.4"),
  ];
  assert.equal(networksOf(tell(attacks(day))).length, 1);
  assert.equal(networksOf(tell(attacks(day + 1))).length, 0);
});

test("eight /64 of a /56 ban the /56; seven do not", () => {
  const attacks = Array.from({ length: 8 }, (_, index) => incident(index, `2001:db8:0:${index.toString(16)}::1`));
  assert.deepEqual(networksOf(tell(attacks.slice(0, 7))), []);
  assert.deepEqual(networksOf(tell(attacks)), ["7 ban 2001:db8::/56 fleet L0 until 3607 all network 1h 1t 24f"]);
});

test("a tenant's bans ban its network for the tenant only", () => {
  const attacks = [1, 2, 3, 4].map((last) => incident(1, `192.0.2.${last}`, { tenant: "a" }));
  const told = networksOf(tell([voter("a"), ...attacks]));
  assert.deepEqual(told, ["1 ban 192.0.2.0/24 tenant:a L0 until 3601 all network 1h 1t 12f"]);
});

test("bans by hand and false positives do not count", () => {
  const byHand = event(0, "ban", { net: "192.0.2.9", scope: "fleet", bantime: day });
  const three = [1, 2, 3].map((last) => incident(1, `192.0.2.${last}`));
  assert.deepEqual(networksOf(tell([byHand, ...three])), []);
  const mistake = event(2, "unban", { net: "192.0.2.1", scope: "fleet", reason: "false-positive" });
  assert.deepEqual(networksOf(tell([...three, mistake, incident(3, "192.0.2.4")])), []);
});

test("a network climbs its own ladder, at most to maxLevel", () => {
  const wave = (at: number, index: number) => [1, 2, 3, 4].map((last) => incident(at, `192.0.2.${10 * index + last}`));
  const waves = [0, 2 * hour, 4 * hour, 30 * hour, 56 * hour].flatMap(wave);
  const levels = networksOf(tell([...waves, tick(90 * hour)])).map((line) => /L\d/.exec(line)?.[0]);
  assert.deepEqual(levels, ["L0", "L0", "L1", "L1", "L1"]);
});

test("a network that holds a never-listed address is refused, its attackers are banned", () => {
  const never = event(0, "never", { net: "192.0.2.200" });
  const told = tell([never, ...[1, 2, 3, 4].map((last) => incident(1, `192.0.2.${last}`))]);
  assert.equal(told.filter((line) => line.includes(" ban ")).length, 4);
  assert.match(told.at(-1) ?? "", /^1 refused 192\.0\.2\.0\/24 fleet: .*192\.0\.2\.200\/32.*never list/);
});

test("networks can be switched off by family", () => {
  const attacks = [1, 2, 3, 4].map((last) => incident(1, `192.0.2.${last}`));
  assert.deepEqual(networksOf(tell(attacks, { networks: { ipv4: null } })), []);
});
