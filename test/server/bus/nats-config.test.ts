import assert from "node:assert/strict";
import { test } from "node:test";
import { streamBytesMax } from "../../../server/bus/jwt.ts";
import { natsConfig } from "../../../server/bus/nats-config.ts";

const settings = {
  host: "192.0.2.1",
  port: 4222,
  dataDir: "/var/lib/fleet2ban/nats",
  managed: { pidFile: "/var/lib/fleet2ban/nats/nats.pid", portsDir: "/var/lib/fleet2ban/nats" },
  operatorJwt: "o.o.o",
  systemAccount: { publicKey: "ASYS", jwt: "s.s.s" },
  account: { publicKey: "AF2B", jwt: "a.a.a" },
  tls: null,
  websocket: null,
} as const;

test("monitoring never leaves the machine, whatever the server listens on", () => {
  assert.match(natsConfig({ ...settings, host: "0.0.0.0" }), /^http: "127\.0\.0\.1:-1"$/m);
});

test("what strangers could abuse is not there at all", () => {
  const text = natsConfig(settings);
  for (const word of ["leafnodes", "cluster", "gateway", "no_auth_user", "websocket", "mqtt", "authorization"]) {
    assert.ok(!text.includes(word), word);
  }
});

test("a path with quotes or line breaks stays one string", () => {
  const text = natsConfig({ ...settings, managed: { ...settings.managed, pidFile: '/tmp/a"\nport: 1' } });
  assert.ok(text.includes('pid_file: "/tmp/a\\"\\nport: 1"'));
});

test("a websocket is encrypted as soon as the server is, and never compressed", () => {
  const tls = { certFile: "/c.pem", keyFile: "/c.key" };
  const text = natsConfig({ ...settings, tls, websocket: { port: 443 } });
  assert.match(text, /websocket \{.*port: 443.*compression: false.*tls \{ cert_file: "\/c\.pem"/);
  assert.ok(!text.includes("no_tls"));
});

test("the account finds room for its JetStream also while it is counted several times", () => {
  const memory = Number(/max_memory_store: (\d+)/.exec(natsConfig(settings))?.[1]);
  assert.ok(memory >= 4 * streamBytesMax, String(memory));
});
