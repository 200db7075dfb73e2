import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { openStore } from "../../../agent/store/open-store.ts";
import { quietLog } from "../logs/followed-log.ts";

/** Says on its output what the store has accepted, each after it returned. */
const writer = `
  import { openStore } from ${JSON.stringify(import.meta.resolve("../../../agent/store/open-store.ts"))};
  const quiet = () => {};
  const store = openStore(process.argv[1], { debug: quiet, info: quiet, warn: quiet, error: quiet });
  const { outbox, orders, bans } = store;
  let id = orders.load(0).get("fleet")?.revision ?? 0;
  for (;;) {
    const sequence = outbox.nextSequence();
    if (outbox.inFlight() === undefined) {
      outbox.begin({ sequence, payload: new TextEncoder().encode("batch " + sequence) }, new Map([["log", sequence]]), 1);
    }
    outbox.acknowledge(outbox.inFlight().sequence);
    id += 1;
    orders.apply("fleet", { epoch: "1", revision: id }, [
      { kind: "ban", id, net: "192.0.2.1/32", untilMs: null, ports: null, level: 0 },
    ]);
    bans.record([{ jail: "sshd", id: String(id), net: null, ports: null, startMs: id, untilMs: null, earlierBans: 0, lines: [] }]);
    console.log(id);
  }`;

test("killed at any moment, the store holds all it has accepted, each thing once and whole", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "fleet2ban-kill-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  let accepted = 0;
  for (let round = 0; round < 4; round += 1) {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", writer, dir], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    t.after(() => child.kill("SIGKILL"));
    const ended = once(child, "exit");
    const before = accepted;
    for await (const line of createInterface(child.stdout)) {
      accepted = Number(line);
      // Not at a moment the writer chose: it goes on while the signal is on its way.
      if (accepted >= before + 20 + round) child.kill("SIGKILL");
    }
    await ended;

    using store = openStore(dir, quietLog);
    const last = store.outbox.inFlight();
    const next = store.outbox.nextSequence();
    const position = store.positions.load().get("log")?.kept;
    assert.ok(Number(position) >= accepted);
    assert.equal(next, Number(position) + 1);
    assert.ok(last === undefined || last.sequence === position);
    if (last !== undefined) assert.equal(new TextDecoder().decode(last.payload), `batch ${last.sequence}`);
    const set = store.orders.load(0).get("fleet");
    assert.ok((set?.revision ?? 0) >= accepted);
    assert.deepEqual(
      set?.standing.map((each) => each.id),
      Array.from({ length: set?.revision ?? 0 }, (_, index) => index + 1),
    );
    const bans = store.bans.standing(0);
    assert.ok(bans.length >= accepted && bans.length <= (set?.revision ?? 0));
    assert.ok(bans.every((each) => store.bans.historyInJail("sshd", each.id)?.bans === 1));
  }
});
