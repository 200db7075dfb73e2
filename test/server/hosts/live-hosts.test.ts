import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect, jwtAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import { type AgentCredentials, parseAgentCredentials } from "../../../shared/enrollment.ts";
import { type LiveFleet, type LiveHost, openLiveFleet } from "../../support/live-fleet.ts";
import { waitFor } from "../../support/wait-for.ts";

type Host = Readonly<{ host: string; tenant: string; state: string; connected: boolean; problems: string[] }>;
type Status = Readonly<{ degraded: readonly string[] }>;

let fleet: LiveFleet;
before(async () => {
  fleet = await openLiveFleet({ hosts: 4, namespaces: false });
});
after(() => fleet?.[Symbol.asyncDispose]());

const hostAt = (index: number): LiveHost => {
  const host = fleet.hosts[index];
  if (host === undefined) throw new Error(`there is no host ${index}`);
  return host;
};
const viewOf = (host: LiveHost) => fleet.api<Host>("GET", `/hosts/${host.name}`);
const addressesOf = async (host: LiveHost) => (await host.status()).firewall.elements;

function credentialsOf(host: LiveHost): AgentCredentials {
  const file = join(host.folder, "credentials.json");
  return parseAgentCredentials(readFileSync(file, "utf8"), file);
}

/** The host's owner, with its credentials, or those he has kept, and a client of his own. */
async function connectAs(host: LiveHost, kept = credentialsOf(host)): Promise<NatsConnection> {
  const { url, jwt, seed } = kept;
  const authenticator = jwtAuthenticator(jwt, new TextEncoder().encode(seed));
  return connect({ servers: url, authenticator, reconnect: false, timeout: 5_000 });
}

test("a host that is moved follows its new tenant without a restart, and the old one's bans end there", async () => {
  const [moved, stays] = [hostAt(0), hostAt(1)];
  await fleet.api("POST", "/tenants", { name: "acme", trust: "vote" });
  const before = await addressesOf(moved);
  const bantime = "1h";
  await fleet.api("POST", "/bans", {
    net: "203.0.113.1",
    scope: "tenant:default",
    bantime,
    reason: "the old tenant's",
  });
  await waitFor(async () => (await addressesOf(moved)) === before + 1, "the old tenant's ban");
  const { pid } = await moved.status();
  await fleet.api("PATCH", `/hosts/${moved.name}`, { tenant: "acme" });
  await waitFor(async () => (await moved.status()).fleet?.tenant === "acme", "the agent to know its tenant");
  await waitFor(async () => (await addressesOf(moved)) === before, "the old tenant's ban to end there");
  for (const net of ["203.0.113.2", "203.0.113.3"]) {
    await fleet.api("POST", "/bans", { net, scope: "tenant:acme", bantime, reason: "the new tenant's" });
  }
  await waitFor(async () => (await addressesOf(moved)) === before + 2, "the new tenant's bans");
  assert.equal(await addressesOf(stays), before + 1);
  assert.equal((await moved.status()).pid, pid);
  const view = await waitFor(async () => {
    const seen = await viewOf(moved);
    return seen.problems.some((problem) => problem.includes("tenant")) ? undefined : seen;
  }, "a report of the new tenant");
  assert.equal(view.tenant, "acme");
});

test("credentials a host had of the tenant it left end, also over a restart; its new ones and its neighbours' do not", async () => {
  const [moved, stays] = [hostAt(0), hostAt(1)];
  await fleet.api("PATCH", `/hosts/${moved.name}`, { tenant: "default" });
  await waitFor(async () => (await moved.status()).fleet?.tenant === "default", "the agent to know its tenant");
  const kept = credentialsOf(moved);
  const listens = await connectAs(moved, kept);
  await fleet.api("PATCH", `/hosts/${moved.name}`, { tenant: "acme" });
  assert.match(String(await listens.closed()), /Revoked/);
  await assert.rejects(connectAs(moved, kept), /Authorization|Revoked/i);
  await waitFor(async () => (await moved.status()).fleet?.inSync, "the agent to follow its new tenant");
  assert.equal((await stays.status()).fleet?.connected, true);
  await fleet.coordinator()[Symbol.asyncDispose]();
  await fleet.startCoordinator();
  await waitFor(async () => (await moved.status()).fleet?.inSync, "the agent to be back", 60_000);
  await assert.rejects(connectAs(moved, kept), /Authorization|Revoked/i);
  await (await connectAs(moved)).close();
});

test("a host whose owner tries what its credentials forbid is quarantined, and the alarm names it", async () => {
  const host = hostAt(1);
  const evil = await connectAs(host);
  try {
    for (let count = 0; count < 20; count += 1) evil.publish("f2b.v1.bans.t", "x");
    await evil.flush();
    await waitFor(async () => (await viewOf(host)).state === "quarantined", "the quarantine");
  } finally {
    await evil.close();
  }
  const { degraded } = await fleet.api<Status>("GET", "/status");
  assert.match(degraded.join("\n"), /host2 tried \d+ times what its credentials forbid/);
  const [row] = await fleet.query<{ actor: string }>(
    "select actor from audit where target like '%host2' order by at_ms desc",
    [],
  );
  assert.equal(row?.actor, "fleet2ban");
});

test("a flood of one host leads to its quarantine, and the others' orders arrive as ever", async () => {
  const [host, other] = [hostAt(2), hostAt(3)];
  const evil = await connectAs(host);
  try {
    for (let count = 0; count < 20_000; count += 1) evil.publish(`f2b.v1.up.${host.name}.status`, "{}");
    await evil.flush();
    const before = await addressesOf(other);
    await fleet.api("POST", "/bans", { net: "203.0.113.9", scope: "fleet", bantime: "1h", reason: "meanwhile" });
    await waitFor(async () => (await addressesOf(other)) === before + 1, "the order");
    await waitFor(async () => (await viewOf(host)).state === "quarantined", "the quarantine");
  } finally {
    await evil.close();
  }
});

test("a revoked host is cut off and stays out, over restarts of nats-server and of the coordinator", async () => {
  const host = hostAt(3);
  await fleet.api("DELETE", `/hosts/${host.name}`);
  await waitFor(async () => (await host.status()).fleet?.connected === false, "the host to be cut off", 5_000);
  await assert.rejects(connectAs(host), /Authorization|Revoked/i);
  const pid = fleet.childPid("nats");
  process.kill(pid ?? 0, "SIGKILL");
  await waitFor(
    async () => {
      const now = fleet.childPid("nats");
      return now !== undefined && now !== pid && (await viewOf(hostAt(0))).connected;
    },
    // Seen to be there, and not with its next regular report a minute later.
    "nats-server and the others to be back",
    40_000,
  );
  await assert.rejects(connectAs(host), /Authorization|Revoked/i);
  await fleet.coordinator()[Symbol.asyncDispose]();
  await fleet.startCoordinator();
  await waitFor(async () => (await hostAt(0).status()).fleet?.inSync, "the others to be back", 60_000);
  await assert.rejects(connectAs(host), /Authorization|Revoked/i);
  assert.equal((await host.status()).fleet?.connected, false);
  assert.equal((await viewOf(host)).state, "revoked");
});

test("a nats-server that hangs is said so and replaced, and every host is in step again", async () => {
  const host = hostAt(0);
  const hung = fleet.childPid("nats") ?? 0;
  const saysAway = async () => {
    const { degraded } = await fleet.api<Status>("GET", "/status");
    return degraded.includes("the bus is away: agents protect themselves, orders wait");
  };
  process.kill(hung, "SIGSTOP");
  await waitFor(saysAway, "the coordinator to say so");
  await waitFor(() => ![undefined, hung].includes(fleet.childPid("nats")), "another nats-server", 120_000);
  const before = await addressesOf(host);
  await fleet.api("POST", "/bans", { net: "203.0.113.10", scope: "fleet", bantime: "1h", reason: "after a hang" });
  await waitFor(async () => (await addressesOf(host)) === before + 1, "the order", 120_000);
  assert.equal((await host.status()).fleet?.inSync, true);
  await waitFor(async () => (await viewOf(host)).connected, "the coordinator to see it", 10_000);
  assert.equal(await saysAway(), false);
});
