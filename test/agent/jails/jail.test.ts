import assert from "node:assert/strict";
import { test } from "node:test";
import { createBanHistory } from "../../../agent/jails/ban-history.ts";
import { createJail, type JailDecision, type JailRules } from "../../../agent/jails/jail.ts";
import { failedAt, increment, rulesOf, sparesNobody } from "./jail-support.ts";

const address = "192.0.2.1";
const jailOf = (changes: Partial<JailRules> = {}, history = createBanHistory(), ignoreList = sparesNobody as never) =>
  createJail(rulesOf(changes), { ignoreList, history, random: () => 0 });
const kinds = (decisions: readonly JailDecision[]): string[] => decisions.map((decision) => decision.kind);
const failAt = (jail: ReturnType<typeof jailOf>, seconds: number, nowSeconds = seconds, id = address) =>
  jail.onFailure(failedAt(seconds, id), nowSeconds * 1000);

test("bans at maxretry, from the last failure on, with the lines behind it", () => {
  const jail = jailOf();
  assert.deepEqual(kinds(failAt(jail, 1)), ["counted"]);
  assert.deepEqual(kinds(failAt(jail, 2)), ["counted"]);
  const [, ban] = failAt(jail, 3);
  assert.deepEqual(ban, {
    kind: "ban",
    id: address,
    net: address,
    atMs: 3000,
    untilMs: 603_000,
    banTimeMs: 600_000,
    earlierBans: 0,
    failures: 3,
    lines: ["line 1", "line 2", "line 3"],
    data: new Map(),
    restored: false,
  });
});

test("a ban holds in the second it ends, and is over in the next", () => {
  const jail = jailOf({ maxRetry: 1 });
  failAt(jail, 0);
  assert.deepEqual(jail.expire(600_000), []);
  assert.deepEqual(jail.expire(600_001), [{ id: address, net: address, startMs: 0, untilMs: 600_000 }]);
  failAt(jail, 601, 601, "192.0.2.2");
  failAt(jail, 602, 602, "192.0.2.3");
  assert.deepEqual(
    jail.expire(1_202_000).map(({ id }) => id),
    ["192.0.2.2"],
  );
  assert.deepEqual(kinds(failAt(jail, 601)), ["counted", "ban"]);
});

test("who is banned already is not banned again, but longer", () => {
  const jail = jailOf({ maxRetry: 2 });
  for (const second of [0, 1, 100]) failAt(jail, second);
  const [, again] = failAt(jail, 101);
  assert.deepEqual(again, { kind: "already-banned", id: address, atMs: 101_000, untilMs: 701_000, extended: true });
  assert.deepEqual(jail.expire(601_001), []);
  assert.equal(jail.expire(701_001).length, 1);
});

test("a ban for ever never ends", () => {
  const jail = jailOf({ maxRetry: 1, banTimeMs: null });
  failAt(jail, 0);
  assert.deepEqual(jail.expire(1e15), []);
  const [, again] = failAt(jail, 5);
  assert.equal(again?.kind === "already-banned" && again.extended, false);
});

test("old failures make no ban that would be over by now", () => {
  const jail = jailOf({ maxRetry: 1 });
  assert.deepEqual(kinds(failAt(jail, 0, 600)), ["counted", "ban"]);
  assert.deepEqual(kinds(failAt(jail, 0, 601, "192.0.2.2")), ["counted", "expired"]);
});

test("a failure dated in the future counts as now", () => {
  const jail = jailOf({ maxRetry: 1 });
  const [, ban] = failAt(jail, 1000, 10);
  assert.equal(ban?.kind === "ban" && ban.atMs, 10_000);
});

test("ids that are no address are banned without a net; the address behind them is the net", () => {
  const jail = jailOf({ maxRetry: 1 });
  const [, byName] = jail.onFailure({ ...failedAt(1, "root"), ip: null }, 1000);
  assert.equal(byName?.kind === "ban" && byName.net, null);
  const [, withAddress] = jail.onFailure({ ...failedAt(1, "admin"), ip: address }, 1000);
  assert.equal(withAddress?.kind === "ban" && withAddress.net, address);
  const [, network] = failAt(jail, 1, 1, "198.51.100.0/24");
  assert.equal(network?.kind === "ban" && network.net, "198.51.100.0/24");
});

test("who is spared is neither counted nor banned", () => {
  const ignoreList = { check: () => ({ kind: "ignored", by: "ip" }), remember: () => undefined };
  const jail = jailOf({ maxRetry: 1 }, createBanHistory(), ignoreList as never);
  assert.deepEqual(failAt(jail, 1), [{ kind: "ignored", id: address, by: "ip" }]);
  assert.equal(jail.countedIds(), 0);
});

test("an ignorecommand is asked for, and its answer decides", () => {
  const answers: boolean[] = [];
  const ignoreList = {
    check: () => ({ kind: "ask", command: "spare <ip>" }),
    remember: (_: unknown, ignored: boolean) => answers.push(ignored),
  };
  const jail = jailOf({ maxRetry: 1 }, createBanHistory(), ignoreList as never);
  const found = failedAt(1);
  assert.deepEqual(jail.onFailure(found, 1000), [{ kind: "ask", command: "spare <ip>", found }]);
  assert.deepEqual(kinds(jail.onIgnoreAnswer(found, true, 1000)), ["ignored"]);
  assert.deepEqual(kinds(jail.onIgnoreAnswer(found, false, 1000)), ["counted", "ban"]);
  assert.deepEqual(answers, [true, false]);
});

test("with increment each failure of a known offender counts 2, 3, 5 … times", () => {
  const triesUntilBan = (bans: number): number => {
    const history = createBanHistory();
    history.record("sshd", address, { bans, lastStartMs: 0, lastBanTimeMs: 1 });
    const jail = jailOf({ maxRetry: 10, increment: increment() }, history);
    for (let tries = 1; ; tries += 1) if (kinds(failAt(jail, tries)).includes("ban")) return tries;
  };
  assert.deepEqual([1, 2, 3, 4, 5, 9].map(triesUntilBan), [5, 4, 2, 2, 1, 1]);
});

test("failures up to the start of the last ban do not weigh more", () => {
  const history = createBanHistory();
  history.record("sshd", address, { bans: 5, lastStartMs: 10_000, lastBanTimeMs: 1 });
  const jail = jailOf({ increment: increment() }, history);
  assert.deepEqual(kinds(failAt(jail, 10)), ["counted"]);
  assert.deepEqual(kinds(failAt(jail, 11)), ["counted", "counted-bad", "ban"]);
});

test("increment looks at this jail, or with overalljails at all of them", () => {
  const history = createBanHistory();
  history.record("sshd", address, { bans: 1, lastStartMs: 0, lastBanTimeMs: 1 });
  history.record("dovecot", address, { bans: 2, lastStartMs: 0, lastBanTimeMs: 1 });
  const banTimeWith = (overAllJails: boolean): number | null | undefined => {
    const jail = jailOf({ maxRetry: 1, increment: increment({ overAllJails }) }, history);
    const ban = failAt(jail, 1).find((decision) => decision.kind === "ban");
    return ban?.kind === "ban" ? ban.banTimeMs : undefined;
  };
  assert.equal(banTimeWith(false), 1_200_000);
  assert.equal(banTimeWith(true), 4_800_000);
});

test("attempts by hand count one per line, at least one", () => {
  const jail = jailOf();
  assert.deepEqual(kinds(jail.attempt(address, [], 0)), ["counted"]);
  assert.deepEqual(kinds(jail.attempt(address, ["a", "b"], 0)), ["counted", "ban"]);
});

test("bans and unbans by hand", () => {
  const jail = jailOf();
  assert.deepEqual(kinds(jail.ban(address, 0)), ["ban"]);
  assert.deepEqual(kinds(jail.ban(address, 0)), ["already-banned"]);
  assert.equal(jail.unban(address)?.net, address);
  assert.equal(jail.unban(address), undefined);
  assert.deepEqual(kinds(jail.ban(address, 1)), ["ban"]);
});

test("a lift by hand also drops what was counted", () => {
  const jail = jailOf({ maxRetry: 2 });
  failAt(jail, 1);
  jail.unban(address);
  assert.deepEqual(kinds(failAt(jail, 2)), ["counted"]);
});

const stored = { id: address, net: address, startMs: 0, untilMs: 600_000, earlierBans: 2, lines: ["x"] };

test("restores what has not ended, no longer than today's rules allow", () => {
  assert.equal(jailOf().restore(stored, 600_000), undefined);
  const restored = jailOf().restore(stored, 599_999);
  assert.equal(restored?.restored, true);
  assert.equal(restored?.untilMs, 600_000);
  assert.equal(restored?.earlierBans, 2);
  assert.equal(jailOf({ banTimeMs: 300_000 }).restore(stored, 1000)?.untilMs, 300_000);
  assert.equal(jailOf({ banTimeMs: 300_000 }).restore(stored, 300_000), undefined);
  assert.equal(jailOf().restore({ ...stored, untilMs: null }, 1000)?.untilMs, 600_000);
  assert.equal(jailOf({ banTimeMs: null }).restore({ ...stored, untilMs: null }, 1000)?.untilMs, null);
  const grown = { ...stored, untilMs: 9_000_000 };
  assert.equal(jailOf({ increment: increment() }).restore(grown, 1000)?.untilMs, 9_000_000);
  assert.equal(jailOf({ increment: increment({ maxTimeMs: 700_000 }) }).restore(grown, 1000)?.untilMs, 700_000);
});

test("does not restore whom the list spares by now, nor twice", () => {
  const ignoreList = { check: () => ({ kind: "ignored", by: "ip" }), remember: () => undefined };
  assert.equal(jailOf({}, createBanHistory(), ignoreList as never).restore(stored, 0), undefined);
  const jail = jailOf();
  assert.ok(jail.restore(stored, 0));
  assert.equal(jail.restore(stored, 0), undefined);
});

test("stale counts are dropped at most every five seconds", () => {
  const jail = jailOf();
  failAt(jail, 0);
  jail.expire(596_000);
  jail.expire(600_999);
  assert.equal(jail.countedIds(), 1);
  jail.expire(601_000);
  assert.equal(jail.countedIds(), 0);
});

test("a jail bans at most a hundred thousand ids, the oldest is given up", () => {
  const jail = jailOf({ maxRetry: 1 });
  for (let id = 0; id < 100_000; id += 1) failAt(jail, 1, 1, `id ${id}`);
  assert.deepEqual(kinds(failAt(jail, 2, 2, "one more")), ["counted", "given-up", "ban"]);
  assert.equal(jail.banOf("id 0"), undefined);
});
