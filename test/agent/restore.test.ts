import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { nftablesBackend } from "../../agent/firewall/nftables.ts";
import { openStore } from "../../agent/store/open-store.ts";
import type { Order } from "../../shared/order.ts";
import { quietLog } from "../support/fleet-memory.ts";
import { makeLiveHost } from "../support/live-host.ts";
import { namespacesMissing, openNetwork } from "../support/namespaces.ts";

const skip = namespacesMissing("nft");
const folder = mkdtempSync(join(tmpdir(), "f2b-restore-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const hour = 3_600_000;

test("at boot the bans of the last run are in the firewall before any agent runs, and never-listed addresses are not", {
  skip,
  timeout: 120_000,
}, async () => {
  using network = openNetwork(1);
  const place = network.hosts[0] ?? assert.fail("no host");
  const agentYaml = 'never: ["192.0.2.9"]';
  const host = makeLiveHost("host1", place, folder, { agentYaml });
  const nowMs = Date.now();
  const order = (id: number, net: string, fields: Partial<Extract<Order, { kind: "ban" }>> = {}): Order => ({
    ...{ kind: "ban", id, net, untilMs: nowMs + 720 * hour, ports: null, level: 3 },
    ...fields,
  });
  {
    using store = openStore(host.stateDir, quietLog);
    store.orders.apply("fleet", { epoch: "1", revision: 6 }, [
      order(1, "203.0.113.1/32"),
      order(2, "203.0.113.2/32", { untilMs: nowMs - 1 }),
      order(3, "192.0.2.0/24"),
      order(4, "203.0.113.4/32", { untilMs: null }),
      order(5, "203.0.113.5/32", { untilMs: null, level: null }),
      { kind: "allow", id: 6, net: "203.0.113.1/32", untilMs: null },
    ]);
    const local = (id: string, ports: number[] | null, untilMs: number | null) => ({
      ...{ jail: "sshd", id, net: id, ports, startMs: nowMs, untilMs, earlierBans: 0, lines: [] },
    });
    store.bans.record([
      local("198.51.100.7", [22], nowMs + hour),
      local("198.51.100.8", null, null),
      local("198.51.100.9", [], nowMs + hour),
      local("10.0.0.1", null, nowMs + hour),
    ]);
  }
  const { code, stdout, stderr } = await host.run("restore", "--json");
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), { firewall: "nftables", elements: 5, refused: 0 });
  const listed = await nftablesBackend(place.run, "nft", Date.now).list();
  const held = listed.map(({ net, port, expiresInMs }) => `${net} ${port} ${expiresInMs === null ? "for ever" : ""}`);
  assert.deepEqual(held.toSorted(), ["198.51.100.7 22 ", "198.51.100.8 null for ever", "203.0.113.5 null for ever"]);
});

test("while an agent runs nothing is restored, and the sentence says why", { skip, timeout: 120_000 }, async () => {
  using network = openNetwork(1);
  const place = network.hosts[0] ?? assert.fail("no host");
  const host = makeLiveHost("host2", place, folder);
  host.start();
  await using agent = host.agent();
  await host.status();
  const { code, stderr } = await host.run("restore");
  assert.equal(code, 69);
  assert.match(stderr, /another fleet2ban agent is running/);
  agent.signal("SIGTERM");
});
