import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock, test } from "node:test";
import { Renewal } from "../../../agent/fleet/renewal.ts";
import { agentJwt, agentJwtSeconds } from "../../../server/bus/jwt.ts";
import { loadBusKeys, newUserNkey } from "../../../server/bus/keys.ts";
import { hourMs, minuteMs } from "../../../shared/durations.ts";
import type { AgentCredentials } from "../../../shared/enrollment.ts";
import { quietLog } from "../../support/fleet-memory.ts";

const startMs = 1_800_000_000_000;
const lifeMs = agentJwtSeconds * 1000;
const dir = mkdtempSync(join(tmpdir(), "fleet2ban-renewal-"));
const keys = loadBusKeys(dir);
rmSync(dir, { recursive: true });
const { publicKey, seed } = newUserNkey();
const jwtAt = (ms: number): string => agentJwt(keys, { publicKey, host: "h1", tenant: "t1" }, ms);

/** An agent's credentials with a clock that only this test moves. */
function renewing(random: number) {
  mock.timers.enable({ apis: ["setTimeout"] });
  let nowMs = startMs;
  const seen = { asked: [] as number[], reconnects: [] as number[], saved: [] as AgentCredentials[] };
  const credentials = { v: 1, url: "nats://192.0.2.1", ca: null, orderKey: keys.ordersPublic, host: "h1" } as const;
  const renewal = new Renewal({
    credentials: { ...credentials, tenant: "t1", seed, jwt: jwtAt(startMs) },
    save: (each) => void seen.saved.push(each),
    askForJwt: () => seen.asked.push((nowMs - startMs) / lifeMs) > 0,
    reconnect: () => void seen.reconnects.push(nowMs),
    onTenant: () => undefined,
    now: () => nowMs,
    random: () => random,
    log: quietLog,
  });
  const pass = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += minuteMs) {
      nowMs += minuteMs;
      mock.timers.tick(minuteMs);
    }
  };
  return {
    ...{ renewal, seen, pass },
    [Symbol.dispose]() {
      renewal[Symbol.dispose]();
      mock.timers.reset();
    },
  };
}

test("credentials are asked for when half their life is over, a tenth earlier or later, each host at its own time", () => {
  const times = [0, 0.25, 0.5, 0.75, 1].map((random) => {
    using host = renewing(random);
    host.pass(lifeMs * 0.65);
    return Math.round((host.seen.asked[0] ?? 0) * 100);
  });
  assert.deepEqual(times, [40, 45, 50, 55, 60]);
});

test("whoever gets no answer asks again, and is long done when the old credentials end", () => {
  using host = renewing(1);
  host.pass(lifeMs * 0.6 + hourMs);
  assert.ok(host.seen.asked.length >= 6, `${host.seen.asked.length} times`);
});

test("new credentials are saved at once and used within the hour, not by everybody in the same second", () => {
  const after = [0.1, 0.9].map((random) => {
    using host = renewing(random);
    host.pass(lifeMs * 0.6);
    const renewedMs = startMs + lifeMs * 0.6;
    host.renewal.receive(new TextEncoder().encode(JSON.stringify({ jwt: jwtAt(renewedMs), tenant: "t1" })));
    assert.equal(host.seen.saved.at(-1)?.jwt, jwtAt(renewedMs));
    host.pass(hourMs);
    return Math.round(((host.seen.reconnects[0] ?? 0) - renewedMs) / minuteMs);
  });
  assert.deepEqual(after, [6, 54]);
});

test("what cannot be read as credentials takes the place of none", () => {
  using host = renewing(0.5);
  const before = host.renewal.credentials;
  for (const text of ["", "{}", '{"jwt":"x","tenant":"t1"}', '{"jwt":"a.b.c","tenant":"T 1"}']) {
    assert.throws(() => host.renewal.receive(new TextEncoder().encode(text)));
  }
  assert.deepEqual([host.renewal.credentials, host.seen.saved], [before, []]);
});
