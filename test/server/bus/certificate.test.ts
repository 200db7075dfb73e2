import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Account } from "../../../server/bus/account.ts";
import { openBus } from "../../../server/bus/bus.ts";
import { loadBusCertificate } from "../../../server/bus/certificate.ts";
import { loadBusKeys } from "../../../server/bus/keys.ts";
import { managedNats } from "../../../server/bus/managed-nats.ts";
import { startNatsServer } from "../../../server/embedded/nats-server.ts";
import { dayMs } from "../../../shared/durations.ts";
import { testLog } from "../../support/nats.ts";

let dataDir = "";
let otherDir = "";
before(() => {
  dataDir = mkdtempSync(join(tmpdir(), "fleet2ban-tls-"));
  otherDir = mkdtempSync(join(tmpdir(), "fleet2ban-tls-"));
});
after(() => {
  for (const dir of [dataDir, otherDir]) rmSync(dir, { recursive: true, force: true });
});

test("who knows the authority gets an encrypted line; who knows another one refuses", async () => {
  const keys = loadBusKeys(dataDir);
  const { ca, ...tls } = await loadBusCertificate(dataDir, ["127.0.0.1", "localhost"], Date.now());
  const account = new Account(keys, new Map(), Date.now());
  const managed = managedNats({ dataDir, host: "127.0.0.1", tls, websocket: null }, keys, account);
  await using server = await startNatsServer({ ...managed, listen: { host: "127.0.0.1", port: 0 }, log: testLog });
  await using bus = await openBus({ url: server.url, ca }, keys, testLog);
  await bus.flush();
  const stranger = await loadBusCertificate(otherDir, ["127.0.0.1"], Date.now());
  await assert.rejects(openBus({ url: server.url, ca: stranger.ca }, keys, testLog), /certificate|self.signed|verify/i);
});

test("a certificate is kept while it fits, and replaced for new names or near its end; the authority stays", async () => {
  const first = await loadBusCertificate(dataDir, ["127.0.0.1", "localhost"], Date.now());
  const read = () => readFileSync(first.certFile, "utf8");
  const certificate = read();
  await loadBusCertificate(dataDir, ["localhost"], Date.now());
  assert.equal(read(), certificate);
  const renamed = await loadBusCertificate(dataDir, ["bus.example.com", "192.0.2.1"], Date.now());
  assert.notEqual(read(), certificate);
  const forNames = read();
  await loadBusCertificate(dataDir, ["bus.example.com"], Date.now() + 800 * dayMs);
  assert.notEqual(read(), forNames);
  assert.equal(renamed.ca, first.ca);
});

test("private keys are readable by their owner only", () => {
  for (const file of ["bus.key", "bus-ca.key"])
    assert.equal(statSync(join(dataDir, "keys", file)).mode & 0o077, 0, file);
});
