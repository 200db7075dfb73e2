import assert from "node:assert/strict";
import { test } from "node:test";
import { type Element, elementKey, noChange } from "../../../agent/firewall/firewall.ts";
import { FirewallQueue } from "../../../agent/firewall/firewall-queue.ts";
import { fakeFirewall } from "../../support/fake-firewall.ts";

const element = (last: number, untilMs: number | null = null): Element => ({
  net: `192.0.2.${last}`,
  ports: null,
  untilMs,
});

async function openQueue() {
  const backend = fakeFirewall();
  const wanted = new Map<string, Element>();
  let allow = ["198.51.100.1"];
  const timers: { delayMs: number; call: () => void }[] = [];
  const queue = new FirewallQueue({
    backend,
    setup: () => ({ verdict: "drop", allow }),
    wanted: () => wanted.values(),
    schedule: (delayMs, call) => {
      const timer = { delayMs, call };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
  });
  const fire = (delayMs: number) => {
    const at = timers.findIndex((timer) => timer.delayMs === delayMs);
    assert(at >= 0, `no timer of ${delayMs} ms among ${timers.map((timer) => timer.delayMs)}`);
    timers.splice(at, 1)[0]?.call();
  };
  const ban = (...elements: readonly Element[]) => {
    for (const each of elements) wanted.set(elementKey(each), each);
    return queue.submit({ ...noChange, add: elements });
  };
  const setAllow = (nets: string[]) => {
    allow = nets;
    return queue.setUp();
  };
  return { backend, queue, wanted, fire, ban, timers, setAllow };
}

test("the first change goes at once, those that come meanwhile go together, and each caller hears of its own", async () => {
  const { backend, queue, ban } = await openQueue();
  await queue.open();
  backend.refuses.add("192.0.2.3");
  const go = backend.pause();
  const first = ban(element(1));
  await Promise.resolve();
  await Promise.resolve();
  const others = [ban(element(2)), ban(element(3), element(4))];
  go();
  assert.deepEqual(await first, { applied: 1, rejected: [] });
  assert.deepEqual(await Promise.all(others), [
    { applied: 1, rejected: [] },
    { applied: 1, rejected: [{ net: "192.0.2.3", reason: "refused" }] },
  ]);
  assert.deepEqual(backend.calls, [
    "replace 0",
    "apply add 192.0.2.1",
    "apply add 192.0.2.2, add 192.0.2.3, add 192.0.2.4",
  ]);
  assert.equal(queue.state.refused, 1);
});

test("a burst is on its way before its caller does anything else", async () => {
  const { backend, queue, ban } = await openQueue();
  await queue.open();
  const burst = ban(...Array.from({ length: 256 }, (_, last) => element(last)));
  assert.equal(backend.calls.length, 2);
  assert.equal((await burst).applied, 256);
  assert.equal(backend.calls.length, 2);
});

test("waiting changes of one element become one, and one that was removed may still be there", async () => {
  const { backend, queue } = await openQueue();
  await queue.open();
  const go = backend.pause();
  const changes = [
    queue.submit({ ...noChange, remove: [element(9)] }),
    ...[1, 2].map((end) => queue.submit({ ...noChange, [end === 1 ? "add" : "renew"]: [element(1, end)] })),
    queue.submit({ ...noChange, remove: [element(2)] }),
    queue.submit({ ...noChange, add: [element(2)] }),
    queue.submit({ ...noChange, renew: [element(3)] }),
    queue.submit({ ...noChange, remove: [element(3)] }),
  ];
  go();
  await Promise.all(changes);
  assert.equal(backend.calls[1], "apply add 192.0.2.1, renew 192.0.2.2, remove 192.0.2.9, remove 192.0.2.3");
  assert.equal(backend.elements.get("192.0.2.1"), 2);
});

test("a change that fails is repaired by writing the whole wanted set, before its caller hears of it", async () => {
  const { backend, queue, ban } = await openQueue();
  await queue.open();
  await ban(element(1));
  backend.flush();
  assert.deepEqual(await ban(element(2)), { applied: 1, rejected: [] });
  assert.deepEqual([...backend.elements.keys()], ["192.0.2.1", "192.0.2.2"]);
  assert.deepEqual(backend.calls.slice(-2), ["apply add 192.0.2.2", "replace 2"]);
  assert.equal(queue.state.kind, "ok");
  assert.equal(queue.state.heals, 1);
});

test("a firewall that stays broken is tried again, ever more rarely, and then holds what came meanwhile", async () => {
  const { backend, queue, ban, fire } = await openQueue();
  await queue.open();
  backend.failures.push("no", "no", "no");
  await assert.rejects(ban(element(1)), /no/);
  await assert.rejects(ban(element(2)), /no/);
  assert.equal(queue.state.kind, "healing");
  fire(1000);
  await queue.check();
  assert.equal(queue.state.kind, "healing");
  fire(2000);
  await queue.check();
  assert.equal(queue.state.kind, "ok");
  assert.deepEqual([...backend.elements.keys()], ["192.0.2.1", "192.0.2.2"]);
});

test("the regular check heals a foreign flush and comes again", async () => {
  const { backend, queue, ban, fire } = await openQueue();
  await queue.open();
  await ban(element(1));
  for (let times = 1; times <= 2; times += 1) {
    backend.flush();
    fire(backend.healthEveryMs);
    await queue.check();
    assert.deepEqual([...backend.elements.keys()], ["192.0.2.1"]);
    assert.equal(queue.state.heals, times);
  }
  assert.equal(backend.setup()?.allow[0], "198.51.100.1");
});

test("another allow list is set before the changes that wait", async () => {
  const { backend, queue, ban, setAllow } = await openQueue();
  await queue.open();
  await Promise.all([ban(element(1)), setAllow(["203.0.113.9"])]);
  assert.deepEqual(backend.calls.slice(1), ["open 203.0.113.9", "apply add 192.0.2.1"]);
});

test("too many waiting changes become one rewrite", async () => {
  const { backend, queue, wanted } = await openQueue();
  await queue.open();
  const many = Array.from({ length: 100_001 }, (_, index) => ({
    net: `192.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
    ports: null,
    untilMs: null,
  }));
  for (const each of many) wanted.set(each.net, each);
  await queue.submit({ ...noChange, add: many });
  assert.deepEqual(backend.calls, ["replace 0", "replace 100001"]);
});

test("closing finishes what waits, keeps the bans and leaves no timer", async () => {
  const { backend, queue, ban, timers } = await openQueue();
  await queue.open();
  const last = ban(element(1));
  await queue.close();
  await last;
  assert.deepEqual([...backend.elements.keys()], ["192.0.2.1"]);
  assert.deepEqual(timers, []);
  await assert.rejects(ban(element(2)), /closed/);
});
