import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { accountJwt } from "../../../server/bus/jwt.ts";
import { loadBusKeys } from "../../../server/bus/keys.ts";
import { managedNats } from "../../../server/bus/managed-nats.ts";
import { requireRefusals } from "../../../server/bus/self-test.ts";
import { findNatsServer } from "../../../server/embedded/nats-program.ts";
import { freePorts } from "../../support/live-fleet.ts";
import { startTestNats, until } from "../../support/nats.ts";

const cleaning = new AsyncDisposableStack();
after(() => cleaning.disposeAsync());

/** Somebody else's nats-server with this configuration. */
async function startForeign(config: (port: number) => string): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), "fleet2ban-foreign-"));
  cleaning.defer(() => rmSync(dir, { recursive: true, force: true }));
  const [port = 0] = await freePorts(1);
  writeFileSync(join(dir, "nats.conf"), config(port));
  const { path } = await findNatsServer(undefined);
  const child = spawn(path, ["-c", join(dir, "nats.conf")], { stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  cleaning.defer(async () => {
    child.kill();
    await ended;
  });
  const { connect } = await import("node:net");
  await until(
    () =>
      new Promise((resolve) => {
        const socket = connect(port, "127.0.0.1", () => resolve(true));
        socket.on("error", () => resolve(false)).on("connect", () => socket.destroy());
      }),
    "it listens",
  );
  return `nats://127.0.0.1:${port}`;
}

test("a bus as we configure it refuses both", async () => {
  await using nats = await startTestNats();
  await requireRefusals(nats.address, nats.keys);
});

test("a bus that lets strangers in is not used", async () => {
  const url = await startForeign((port) => `host: 127.0.0.1\nport: ${port}\n`);
  const dir = mkdtempSync(join(tmpdir(), "fleet2ban-keys-"));
  cleaning.defer(() => rmSync(dir, { recursive: true, force: true }));
  await assert.rejects(requireRefusals({ url, ca: null }, loadBusKeys(dir)), {
    code: "invalid",
    message: /lets strangers in; run it with what `fleet2ban-server nats-config` prints/,
  });
});

test("a bus on which an agent hears other tenants is not used", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "fleet2ban-keys-"));
  cleaning.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  const keys = loadBusKeys(dataDir);
  // Our own account, with an agent's permissions somebody has widened.
  const { publicKey } = keys.account;
  const [head = "", body = ""] = accountJwt(keys, new Map(), Date.now()).split(".");
  const claims = JSON.parse(Buffer.from(body, "base64url").toString());
  claims.nats.signing_keys[0].template.sub.allow.push("f2b.v1.bans.>");
  const wider = `${head}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
  const { sign } = await import("node:crypto");
  const jwt = `${wider}.${sign(null, Buffer.from(wider), keys.operator.signingKey).toString("base64url")}`;
  const { config } = managedNats({ dataDir, host: "127.0.0.1", tls: null, websocket: null }, keys, {
    publicKey,
    jwt,
  } as Parameters<typeof managedNats>[2]);
  const url = await startForeign(config);
  await assert.rejects(requireRefusals({ url, ca: null }, keys), /lets an agent hear another tenant's orders/);
});
