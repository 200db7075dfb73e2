import assert from "node:assert/strict";
import { test } from "node:test";
import { type EntryDriver, entryListBackend } from "../../../agent/firewall/entry-list.ts";
import { noChange } from "../../../agent/firewall/firewall.ts";

function openList(options: Partial<EntryDriver> = {}) {
  const entries = new Set<string>();
  const cut: string[] = [];
  const backend = entryListBackend(
    {
      name: "ufw",
      warnings: [],
      entriesMax: 3,
      entryOf: ({ net }) => net,
      prepare: async () => undefined,
      present: async () => [...entries],
      add: async (fresh) => {
        for (const entry of fresh) if (entry !== "192.0.2.66") entries.add(entry);
        return fresh.filter((entry) => entry === "192.0.2.66");
      },
      remove: async (gone) => {
        for (const entry of gone) entries.delete(entry);
      },
      cut: async (nets) => void cut.push(...nets),
      running: async () => true,
      teardown: async () => entries.clear(),
      ...options,
    },
    () => 0,
  );
  return { backend, entries, cut };
}
const element = (net: string, ports: readonly number[] | null = null) => ({ net, ports, untilMs: null });

test("an entry shared by two elements goes with the last of them", async () => {
  const { backend, entries, cut } = openList();
  await backend.apply({ ...noChange, add: [element("192.0.2.1", [22]), element("192.0.2.1", [80])] });
  assert.deepEqual(cut, ["192.0.2.1"]);
  await backend.apply({ ...noChange, remove: [element("192.0.2.1", [22])] });
  assert.deepEqual([...entries], ["192.0.2.1"]);
  await backend.apply({ ...noChange, remove: [element("192.0.2.1", [80])] });
  assert.deepEqual([...entries], []);
});

test("what is too many, refused or around an allowed address is said, and the rest stands", async () => {
  const { backend, entries } = openList();
  await backend.open({ verdict: "drop", allow: ["203.0.113.7"] });
  const nets = ["203.0.113.0/24", "192.0.2.66", "192.0.2.1", "192.0.2.2", "192.0.2.3", "here"];
  const { applied, rejected } = await backend.apply({ ...noChange, add: nets.map((net) => element(net)) });
  assert.equal(applied, 2);
  assert.deepEqual(
    rejected.map(({ reason }) => reason),
    [
      "holds an allowed address, which ufw cannot except",
      "is over the 3 bans that ufw can hold",
      "is not an address or a network",
      "was refused by ufw",
    ],
  );
  assert.deepEqual([...entries], ["192.0.2.1", "192.0.2.2"]);
});

test("a ban around an address that becomes allowed is lifted", async () => {
  const { backend, entries } = openList();
  await backend.apply({ ...noChange, add: [element("203.0.113.0/24")] });
  await backend.open({ verdict: "drop", allow: ["203.0.113.7"] });
  assert.deepEqual([...entries], []);
});

test("replaceAll touches only what differs, and a missing entry is tampering", async () => {
  const { backend, entries, cut } = openList();
  for (const entry of ["192.0.2.1", "192.0.2.9"]) entries.add(entry);
  await backend.replaceAll([element("192.0.2.1"), element("192.0.2.2")], { verdict: "drop", allow: [] });
  assert.deepEqual([...entries], ["192.0.2.1", "192.0.2.2"]);
  assert.deepEqual(cut, ["192.0.2.2"]);
  assert.equal(await backend.health(), "ok");
  entries.delete("192.0.2.1");
  assert.equal(await backend.health(), "tampered");
});
