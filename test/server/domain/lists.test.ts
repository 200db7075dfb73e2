import assert from "node:assert/strict";
import { test } from "node:test";
import { day, event, failure, hour, incident, judgeOf, start, tell, tick, voter } from "./story.ts";

const address = "192.0.2.1";
const allow = (at: number, net: string, tenant?: string) => event(at, "allow", { net, ...(tenant && { tenant }) });
const never = (at: number, net: string) => event(at, "never", { net });
const ban = (at: number, net: string, scope = "fleet") => event(at, "ban", { net, scope, bantime: hour });
const voters = ["a", "b", "c"].map((tenant) => voter(tenant));

test("failures covered by a never count for nothing", () => {
  assert.deepEqual(tell([never(0, "192.0.2.0/24"), incident(1, address), incident(1, address, { tenant: "a" })]), []);
});

test("failures covered by the tenant's own allow count for nothing, in another tenant they do", () => {
  const events = [...voters, allow(0, address, "a"), incident(1, address, { tenant: "a" })];
  assert.deepEqual(tell(events), []);
  assert.equal(tell([...events, incident(1, address, { tenant: "b" })]).length, 1);
});

test("failures covered by a fleet allow make no fleet ban and no vote, but a tenant's ban", () => {
  const fleet = allow(0, "192.0.2.0/28");
  assert.deepEqual(tell([fleet, incident(1, address)]), []);
  const votes = ["a", "b", "c"].map((tenant) => incident(1, address, { tenant }));
  assert.deepEqual(tell([...voters, fleet, ...votes]), [
    "1 ban 192.0.2.1/32 tenant:a L0 until 3601 22 jail sshd 1h 1t 3f",
    "1 ban 192.0.2.1/32 tenant:b L0 until 3601 22 jail sshd 1h 1t 3f",
    "1 ban 192.0.2.1/32 tenant:c L0 until 3601 22 jail sshd 1h 1t 3f",
  ]);
});

test("one allowed address of a /64 lends no vote to its neighbours", () => {
  const events = ["a", "b", "c"].flatMap((tenant) => [
    failure(1, "2001:db8::1", { tenant, count: 2 }),
    failure(2, "2001:db8::2", { tenant }),
  ]);
  const told = tell([...voters, allow(0, "2001:db8::1"), ...events]);
  assert.equal(told.filter((line) => line.includes("fleet")).length, 0);
  assert.equal(told.length, 3);
});

test("adding a fleet allow lifts the fleet bans inside it at once, and nothing else", () => {
  const told = tell([ban(0, address), ban(0, address, "tenant:a"), ban(0, "198.51.100.1"), allow(1, "192.0.2.0/25")]);
  assert.deepEqual(told.slice(3), ["1 unban 192.0.2.1/32 fleet allowed"]);
});

test("adding a tenant's allow lifts that tenant's bans, not the fleet's", () => {
  const told = tell([
    ban(0, address),
    ban(0, address, "tenant:a"),
    ban(0, address, "tenant:b"),
    allow(1, address, "a"),
  ]);
  assert.deepEqual(told.slice(3), ["1 unban 192.0.2.1/32 tenant:a allowed"]);
});

test("an allow inside a banned network leaves the network banned", () => {
  assert.equal(tell([ban(0, "192.0.2.0/24"), allow(1, address)]).length, 1);
});

test("adding a never lifts every ban that shares an address with it, whatever its scope", () => {
  const bans = [ban(0, address), ban(0, "192.0.2.0/24", "tenant:a"), ban(0, "192.0.2.9", "host:h1")];
  assert.deepEqual(tell([...bans, never(1, "192.0.2.0/29")]).slice(3), [
    "1 unban 192.0.2.1/32 fleet allowed",
    "1 unban 192.0.2.0/24 tenant:a allowed",
  ]);
});

test("a ban by hand is refused when it covers a never-listed or reserved address", () => {
  const told = tell([
    never(0, "192.0.2.7"),
    ban(1, "192.0.2.0/24"),
    ban(1, "192.0.2.7", "host:h1"),
    ban(1, "10.0.0.1"),
  ]);
  assert.match(told[0] ?? "", /^1 refused 192\.0\.2\.0\/24 fleet: .*192\.0\.2\.7\/32.*never list/);
  assert.match(told[1] ?? "", /^1 refused 192\.0\.2\.7\/32 host:h1: .*never list/);
  assert.match(told[2] ?? "", /^1 refused 10\.0\.0\.1\/32 fleet: .*reserved/);
});

test("a ban by hand is refused when it is wider than the policy's widest", () => {
  const nets = ["192.0.2.0/24", "192.0.2.0/23", "2001:db8::/48", "2001:db8::/47", "0.0.0.0/0", "::/0"];
  const told = tell(nets.map((net) => ban(0, net)));
  assert.deepEqual(
    told.map((line) => line.split(" ")[1]),
    ["ban", "refused", "ban", "refused", "refused", "refused"],
  );
  assert.match(told[1] ?? "", /wider than \/24 \(limits\.widestBan\)/);
});

test("a ban by hand is refused where an allow of its scope would undo it", () => {
  const told = tell([allow(0, address), ban(1, address), ban(1, address, "tenant:a")]);
  assert.match(told[0] ?? "", /^1 refused 192\.0\.2\.1\/32 fleet: .*allowed for fleet/);
  assert.match(told[1] ?? "", /^1 ban 192\.0\.2\.1\/32 tenant:a/);
});

test("an IPv6 network with a never-listed address in it is refused, once per incident", () => {
  const told = tell([never(0, "2001:db8::7"), ...[1, 1, 1, 1, 2].map((at) => failure(at, "2001:db8::8"))]);
  assert.equal(told.length, 1, "stragglers of the same second have had their answer");
  assert.match(told[0] ?? "", /^1 refused 2001:db8::\/64 fleet: .*never list/);
});

test("taking an allow or a never back makes it bannable again", () => {
  const back = (kind: string) => event(1, kind, { net: address, add: false });
  assert.equal(tell([allow(0, address), back("allow"), incident(2, address)]).length, 1);
  assert.equal(tell([never(0, address), back("never"), incident(2, address)]).length, 1);
  const inside = { net: "2001:db8::7" };
  const events = [event(0, "never", inside), event(1, "never", { ...inside, add: false }), incident(2, "2001:db8::8")];
  assert.match(tell(events)[0] ?? "", / ban 2001:db8::\/64 /);
});

test("an unban lifts exactly its net in its scope, with its reason", () => {
  const unban = (net: string, scope: string) => event(5, "unban", { net, scope, reason: "false-positive" });
  const bans = [ban(0, address), ban(0, address, "tenant:a"), ban(0, "192.0.2.0/24")];
  assert.deepEqual(tell([...bans, unban(address, "fleet")]).slice(3), ["5 unban 192.0.2.1/32 fleet false-positive"]);
  assert.deepEqual(tell([...bans, unban("192.0.2.2", "fleet"), unban(address, "tenant:b")]).slice(3), []);
});

test("bans end at their own time and in that order, before the event that comes after", () => {
  const long = event(0, "ban", { net: "192.0.2.2", scope: "fleet", bantime: 2 * hour });
  const ever = event(0, "ban", { net: "192.0.2.3", scope: "fleet", bantime: null });
  const told = tell([long, ever, ban(0, address), ban(1, "192.0.2.4"), incident(day, "198.51.100.1")]);
  assert.deepEqual(told.slice(4), [
    "3600 unban 192.0.2.1/32 fleet expired",
    "3601 unban 192.0.2.4/32 fleet expired",
    "7200 unban 192.0.2.2/32 fleet expired",
    "86400 ban 198.51.100.1/32 fleet L0 until 90000 22 jail sshd 1h 1t 3f",
  ]);
});

test("a word that cannot be read costs no expiry", () => {
  const judge = judgeOf([ban(0, address)]);
  const unreadable = { kind: "never", net: "nowhere", add: true } as const;
  const endMs = (start + hour) * 1000;
  assert.throws(() => judge.apply(unreadable, endMs), /"nowhere" is not an address or network; write 192\.0\.2\.1/);
  assert.equal(judge.apply({ kind: "tick" }, endMs).decisions.length, 1);
});

test("a ban expires at its end, not a second before, and only once", () => {
  assert.equal(tell([ban(0, address), tick(hour - 1)]).length, 1);
  assert.equal(tell([ban(0, address), tick(hour), tick(hour), tick(day)]).length, 2);
  const lifted = event(1, "unban", { net: address, scope: "fleet" });
  assert.equal(tell([ban(0, address), lifted, tick(day)]).length, 2, "a lifted ban does not expire");
});
