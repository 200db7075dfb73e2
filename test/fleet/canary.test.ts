import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type LiveHost, openLiveFleet } from "../support/live-fleet.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { waitFor } from "../support/wait-for.ts";

const skip = namespacesMissing("nft");
const canary = "198.51.100.0";

test("whoever empties our sets in the kernel is seen at the coordinator, and the bans come back", {
  skip,
}, async () => {
  await using fleet = await openLiveFleet({ hosts: 2, namespaces: true });
  const [emptied, other] = fleet.hosts;
  if (emptied === undefined || other === undefined) throw new Error("no namespaces");
  const enforces = async ({ name }: LiveHost) =>
    (await fleet.api<{ enforcing: boolean | null }>("GET", `/hosts/${name}`)).enforcing;
  const notEnforcing = async () => {
    const { hosts } = await fleet.api<{ hosts: { notEnforcing: number } }>("GET", "/status");
    const metrics = await (await fetch(`${fleet.url}/metrics`)).text();
    return [hosts.notEnforcing, Number(/^f2b_hosts_not_enforcing (\d+)/m.exec(metrics)?.[1])];
  };
  await waitFor(() => holds(emptied), "the canary in the kernel", 60_000);
  await waitFor(async () => (await enforces(emptied)) && (await enforces(other)), "both to enforce", 60_000);
  assert.deepEqual(await notEnforcing(), [0, 0]);

  await emptySets(emptied);
  assert.equal(await holds(emptied), false);
  await waitFor(async () => (await enforces(emptied)) === false, "the coordinator to know", 90_000);
  assert.deepEqual(await notEnforcing(), [1, 1]);
  const { problems } = await fleet.api<{ problems: string[] }>("GET", `/hosts/${emptied.name}`);
  assert.deepEqual(problems, ["its firewall does not stop the canary address"]);
  assert.equal(await enforces(other), true);

  await waitFor(() => holds(emptied), "the canary in the kernel again", 60_000);
  await waitFor(async () => await enforces(emptied), "it to enforce again", 90_000);
  assert.deepEqual(await notEnforcing(), [0, 0]);
  // Nothing was ever missing on the other one, nor on the first before somebody took it away.
  assert.deepEqual([healsOf(emptied), healsOf(other)], [1, 0]);
});

/** How often its agent wrote the whole firewall anew, by its log. */
function healsOf({ folder }: LiveHost): number {
  return readFileSync(join(folder, "agent.log"), "utf8").split('"event":"firewall_healing"').length - 1;
}

/** As an admin's `nft flush set`, for every set we have. */
async function emptySets({ place }: LiveHost): Promise<void> {
  if (place === null) throw new Error("no namespace");
  const listed = await place.run(["nft", "-j", "list", "sets", "table", "inet", "fleet2ban"]);
  const { nftables } = JSON.parse(listed.stdout) as { nftables: { set?: { table: string; name: string } }[] };
  const names = nftables.flatMap(({ set }) => (set?.table === "fleet2ban" ? [set.name] : []));
  const lines = names.map((name) => `flush set inet fleet2ban ${name}`);
  assert.equal((await place.run(["nft", "-f", "-"], lines.join("\n"))).code, 0);
}

/** Whether the kernel of this host stops the canary. */
async function holds({ place }: LiveHost): Promise<boolean> {
  const listed = await place?.run(["nft", "list", "table", "inet", "fleet2ban"]);
  return listed?.stdout.includes(canary) === true;
}
