import assert from "node:assert/strict";
import { test } from "node:test";
import { detectFirewall } from "../../../agent/firewall/detect.ts";
import type { CommandResult } from "../../../agent/firewall/run-command.ts";

const ok: CommandResult = { code: 0, stdout: "Status: active\n", stderr: "" };

/** A machine with these programs; those named in `broken` say so. */
function machine(programs: readonly string[], broken: Readonly<Record<string, string>> = {}) {
  return {
    now: () => 0,
    print: () => undefined,
    find: (program: string) => (programs.includes(program) ? program : undefined),
    run: async ([program = ""]: readonly string[]) =>
      broken[program] === undefined ? ok : { code: 1, stdout: "", stderr: broken[program] },
  };
}
const all = ["nft", "ipset", "iptables", "ip6tables", "ufw", "firewall-cmd", "conntrack"];

test("auto takes nftables also beside other firewalls, else ipset, else it only observes, and says why", async () => {
  const first = await detectFirewall("auto", machine(all));
  assert.deepEqual([first.backend.name, first.reasons], ["nftables", ["nftables: works here"]]);

  const second = await detectFirewall("auto", machine(all, { nft: "Error: Operation not supported" }));
  assert.equal(second.backend.name, "ipset");
  assert.match(second.reasons[0] ?? "", /^nftables: Error: Operation not supported; is the kernel module there/);

  const last = await detectFirewall("auto", machine(["nft", "ufw"], { nft: "Operation not permitted" }));
  assert.deepEqual([last.backend.name, last.backend.enforcing], ["observe", false]);
  assert.match(
    last.reasons.join("\n"),
    /CAP_NET_ADMIN.*\nipset: .*apt-get install ipset.*\nobserve: .*no packet will be stopped/,
  );
});

test("a named firewall is taken or refused, never replaced by another", async () => {
  for (const name of ["nftables", "ipset", "ufw", "firewalld", "observe"] as const) {
    assert.equal((await detectFirewall(name, machine(all))).backend.name, name);
  }
  await assert.rejects(detectFirewall("nftables", machine([])), /nftables: the program nft is not installed; apt-get/);
  await assert.rejects(detectFirewall("ufw", machine(all, { ufw: "ERROR: you need to be root" })), /ufw is not active/);
});

test("what a slow firewall does worse is said", async () => {
  for (const name of ["ufw", "firewalld"] as const) {
    const { backend } = await detectFirewall(name, machine(all.filter((each) => each !== "conntrack")));
    assert.match(backend.warnings.join("\n"), /established connections stay open/);
    assert.equal(backend.endsBans, false);
  }
});
