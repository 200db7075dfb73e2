import assert from "node:assert/strict";
import { test } from "node:test";
import { day, event, failure, hour, incident, tell, voter } from "./story.ts";

const address = "192.0.2.1";
const tenants = ["a", "b", "c", "d", "e"];
const voters = tenants.map((tenant) => voter(tenant));
const by = (tenant: string, at: number) => incident(at, address, { tenant, host: `${tenant}-1` });
const fleetOf = (told: readonly string[]) => told.filter((line) => / (fleet|held|refused)/.test(line));

test("the third tenant's ban is a tenant ban and then a fleet ban", () => {
  assert.deepEqual(tell([...voters, by("a", 1), by("b", 2), by("c", 3)]), [
    "1 ban 192.0.2.1/32 tenant:a L0 until 3601 22 jail sshd 1h 1t 3f",
    "2 ban 192.0.2.1/32 tenant:b L0 until 3602 22 jail sshd 1h 1t 3f",
    "3 ban 192.0.2.1/32 tenant:c L0 until 3603 22 jail sshd 1h 1t 3f",
    "3 ban 192.0.2.1/32 fleet L0 until 3603 22 votes 3h 3t 9f",
  ]);
});

test("two tenants are not enough, however often they say it", () => {
  const often = [1, 2, 3, 4].flatMap((round) => [by("a", round * 30 * hour), by("b", round * 30 * hour + 1)]);
  assert.deepEqual(fleetOf(tell([...voters, ...often])), []);
});

test("hosts of the same name in three tenants are three hosts", () => {
  const told = tell([...voters, ...["a", "b", "c"].map((tenant) => incident(1, address, { tenant }))]);
  assert.equal(told.at(-1), "1 ban 192.0.2.1/32 fleet L0 until 3601 22 votes 3h 3t 9f");
});

test("a vote counts while it is exactly a day old, and not a second longer", () => {
  assert.equal(fleetOf(tell([...voters, by("a", 0), by("b", 1), by("c", day)])).length, 1);
  assert.equal(fleetOf(tell([...voters, by("a", 0), by("b", 1), by("c", day + 1)])).length, 0);
});

test("a tenant votes when it is fourteen days old to the second", () => {
  const young = (age: number) => tell([voter("a"), voter("b"), voter("c", age), by("a", 0), by("b", 0), by("c", 0)]);
  assert.equal(fleetOf(young(14 * day)).length, 1);
  assert.equal(fleetOf(young(14 * day - 1)).length, 0);
});

test("a tenant without a creation date is old", () => {
  const undated = ["a", "b", "c"].map((tenant) => event(0, "tenant", { tenant, trust: "vote" }));
  assert.equal(fleetOf(tell([...undated, by("a", 0), by("b", 0), by("c", 0)])).length, 1);
});

test("a quarantined tenant has no vote until the quarantine is lifted", () => {
  const quarantine = (on: boolean, at: number) => event(at, "quarantine", { tenant: "c", on });
  const votes = [by("a", 1), by("b", 1), by("c", 1)];
  assert.deepEqual(fleetOf(tell([...voters, quarantine(true, 0), ...votes])), []);
  const lifted = tell([...voters, quarantine(true, 0), ...votes, quarantine(false, 2), by("d", 3)]);
  assert.deepEqual(fleetOf(lifted), ["3 ban 192.0.2.1/32 fleet L0 until 3603 22 votes 4h 4t 12f"]);
});

test("a fleet ban uses its votes up: three new ones are needed for the next", () => {
  const lift = event(10, "unban", { net: address, scope: "fleet", reason: "admin" });
  const early = [by("a", 1), by("b", 1), by("c", 1), lift];
  assert.equal(fleetOf(tell([...voters, ...early, by("d", 11), by("e", 12)])).length, 2, "only ban and unban");
});

test("a vote lifted as a mistake, or allowed by its tenant, is gone", () => {
  const mistake = event(5, "unban", { net: address, scope: "tenant:a", reason: "false-positive" });
  const allowed = event(5, "allow", { net: address, tenant: "a" });
  const admin = event(5, "unban", { net: address, scope: "tenant:a", reason: "admin" });
  const after = (fact: object) => fleetOf(tell([...voters, by("a", 1), by("b", 1), { ...fact }, by("c", 6)])).length;
  assert.deepEqual([after(mistake), after(allowed), after(admin)], [0, 0, 1]);
});

test("a tenant that may no longer vote takes its vote with it", () => {
  const promoted = event(3, "tenant", { tenant: "a", trust: "full" });
  assert.deepEqual(fleetOf(tell([...voters, by("a", 1), by("b", 2), promoted, by("c", 4)])), []);
});

test("no fleet ban by votes while one stands", () => {
  const votes = [by("a", 1), by("b", 1)];
  const told = tell([...voters, ...votes, incident(2, address), by("c", 3)]);
  assert.deepEqual(fleetOf(told), ["2 ban 192.0.2.1/32 fleet L0 until 3602 22 jail sshd 1h 1t 3f"]);
});

test("votes from jails with different ports close them all, and every port when one names none", () => {
  const policy = { jails: { nginx: { ports: [80, 443] } } };
  const jail = (tenant: string, name: string) => incident(1, address, { tenant, jail: name });
  const two = tell([...voters, jail("a", "sshd"), jail("b", "sshd"), jail("c", "nginx")], policy);
  assert.equal(two.at(-1), "1 ban 192.0.2.1/32 fleet L0 until 3601 22,80,443 votes 3h 3t 9f");
  const open = tell([...voters, jail("a", "sshd"), jail("b", "sshd"), jail("c", "dovecot")], policy);
  assert.equal(open.at(-1), "1 ban 192.0.2.1/32 fleet L0 until 3601 all votes 3h 3t 9f");
});

test("failures of a customer never make a fleet ban by themselves", () => {
  const all = Array.from({ length: 50 }, (_, index) => failure(index, address, { tenant: "a", host: `h${index}` }));
  assert.deepEqual(fleetOf(tell([...voters, ...all])), []);
});
