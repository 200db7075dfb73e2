import assert from "node:assert/strict";
import { test } from "node:test";
import { createJudge } from "../../../server/domain/create-judge.ts";
import { decide, defaultPolicy, event, failure, incident, start, tell } from "./story.ts";

function weightOf(address: string): string | null {
  const fact = {
    kind: "failure",
    atMs: start * 1000,
    tenant: "default",
    host: "h1",
    jail: "sshd",
    address,
    count: 1,
  } as const;
  return createJudge(defaultPolicy).apply(fact, start * 1000).weight;
}

test("IPv4 written as IPv6 is the IPv4 address", () => {
  const told = tell([failure(0, "192.0.2.1"), failure(0, "::ffff:192.0.2.1"), failure(0, "::ffff:c000:201")]);
  assert.deepEqual(told, ["0 ban 192.0.2.1/32 fleet L0 until 3600 22 jail sshd 1h 1t 3f"]);
});

test("an IPv6 address is its /64, so hopping inside it is one subject and one ban", () => {
  const hops = Array.from({ length: 1000 }, (_, index) => failure(index, `2001:db8::${(index + 1).toString(16)}`));
  assert.deepEqual(tell(hops), ["2 ban 2001:db8::/64 fleet L0 until 3602 22 jail sshd 1h 1t 3f"]);
});

test("the policy may count IPv6 by another prefix", () => {
  const told = tell([incident(0, "2001:db8:1:2:3::1")], { ipv6Prefix: 80 });
  assert.deepEqual(told, ["0 ban 2001:db8:1:2:3::/80 fleet L0 until 3600 22 jail sshd 1h 1t 3f"]);
});

test("what is not an address is dropped", () => {
  for (const odd of ["", "nobody", "010.0.0.1", "192.0.2", "192.0.2.1/32", "0x7f.1", "fe80::1%eth0", " 192.0.2.1"]) {
    assert.equal(weightOf(odd), "invalid", odd);
  }
});

test("reserved addresses are dropped, their neighbours and the documentation ranges are not", () => {
  const reserved = ["0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "172.31.255.255", "192.168.1.1"];
  for (const address of [...reserved, "224.0.0.1", "255.255.255.255", "::1", "fc00::1", "fe80::1", "ff02::1"]) {
    assert.equal(weightOf(address), "reserved", address);
  }
  for (const address of ["100.128.0.1", "172.32.0.1", "223.255.255.255", "192.0.2.1", "203.0.113.1", "2001:db8::1"]) {
    assert.equal(weightOf(address), "fleet", address);
  }
});

test("an operator may replace the reserved list", () => {
  assert.equal(tell([incident(0, "10.0.0.1")], { reserved: [] }).length, 1);
  assert.equal(tell([incident(0, "192.0.2.1")], { reserved: ["192.0.2.0/24"] }).length, 0);
});

test("ten thousand invented jails are watched like one more", () => {
  const judge = createJudge(defaultPolicy);
  const invent = (index: number) => failure(0, "192.0.2.1", { jail: `j${index}` });
  const decisions = decide(
    judge,
    Array.from({ length: 10_100 }, (_, index) => invent(index)),
  );
  assert.equal(decisions[0]?.kind === "ban" && decisions[0].reason, "jail other", "those beyond share one window");
  assert.deepEqual(decide(judge, [event(1, "tick", {})]), []);
});
