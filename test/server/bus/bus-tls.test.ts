import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";
import { openConnection } from "../../../agent/fleet/connection.ts";
import { enroll } from "../../../agent/fleet/enroll.ts";
import { Account } from "../../../server/bus/account.ts";
import { type Bus, openBus } from "../../../server/bus/bus.ts";
import { type BusPlaces, type BusTls, openBusTls, openLine, publicUrls } from "../../../server/bus/bus-tls.ts";
import { loadBusCertificate } from "../../../server/bus/certificate.ts";
import { type Enrollment, startEnrollment } from "../../../server/bus/enrollment.ts";
import { externalNatsConfig } from "../../../server/bus/external-nats.ts";
import { type BusKeys, loadBusKeys } from "../../../server/bus/keys.ts";
import { managedNats } from "../../../server/bus/managed-nats.ts";
import { findNatsServer } from "../../../server/embedded/nats-program.ts";
import { type NatsServer, startNatsServer } from "../../../server/embedded/nats-server.ts";
import { dayMs } from "../../../shared/durations.ts";
import { type AgentCredentials, decodeEnrollmentToken, encodeEnrollmentToken } from "../../../shared/enrollment.ts";
import { quietLog } from "../../support/fleet-memory.ts";
import { freePorts } from "../../support/live-fleet.ts";
import { testLog, until } from "../../support/nats.ts";

let dataDir = "";
let otherDir = "";
let places: BusPlaces;
let tls: BusTls;
let keys: BusKeys;
let server: NatsServer;
let bus: Bus;
let enrollment: Enrollment;

before(async () => {
  [dataDir, otherDir] = [1, 2].map(() => mkdtempSync(join(tmpdir(), "fleet2ban-tls-"))) as [string, string];
  const [port = 0, websocketPort = 0] = await freePorts(2);
  const natsListen = { host: "127.0.0.1", port };
  places = { dataDir, natsListen, natsTls: "on", natsWebsocket: { host: "127.0.0.1", port: websocketPort } };
  tls = await openBusTls(places, Date.now());
  keys = loadBusKeys(dataDir);
  const account = new Account(keys, new Map(), Date.now());
  const place = { dataDir, host: "127.0.0.1", tls: tls.server, websocket: places.natsWebsocket ?? null };
  server = await startNatsServer({ ...managedNats(place, keys, account), listen: natsListen, log: testLog });
  bus = await openBus({ url: server.url, ca: tls.ca }, keys, testLog);
  const urls = publicUrls(places, server.url, tls);
  const store = {
    enrol: async () => ({ kind: "enrolled", host: "h1", tenant: "t1" }) as const,
    identityOf: async () => undefined,
  };
  const address = { url: urls[0] ?? "", urls, ca: tls.ca };
  const system = { push: async () => undefined };
  enrollment = startEnrollment({ bus, system, account, keys, store, address, now: Date.now, log: testLog });
  await bus.flush();
});
after(async () => {
  await bus?.[Symbol.asyncDispose]();
  await server?.stop();
  for (const dir of [dataDir, otherDir]) rmSync(dir, { recursive: true, force: true });
});

const enrolHost = () => enroll(enrollment.pack("0123456789abcdef", Date.now() + 60_000), "h1", Date.now());

/** Whether an agent with these credentials gets a line on which it can say something. */
async function speaks(credentials: AgentCredentials): Promise<boolean> {
  const nothing = () => undefined;
  const handlers = {
    onConnected: nothing,
    onOrders: nothing,
    onHello: nothing,
    onCurrent: nothing,
    onAck: nothing,
    onJwt: nothing,
  };
  await using line = openConnection(
    () => credentials,
    handlers,
    () => 0,
    quietLog,
  );
  await until(() => line.connected(), "the agent is connected");
  return await line.ping();
}

test("a host enrols and speaks over TLS, with the authority it learned from its token", async () => {
  const credentials = await enrolHost();
  assert.match(credentials.url, /^tls:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(credentials.ca, tls.ca);
  assert.equal(await speaks(credentials), true);
});

test("a bus that another authority vouches for gets nothing, not even the enrolment", async () => {
  const { ca } = await loadBusCertificate(otherDir, ["127.0.0.1"], Date.now());
  const token = decodeEnrollmentToken(enrollment.pack("0123456789abcdef", Date.now() + 60_000));
  await assert.rejects(
    enroll(encodeEnrollmentToken({ ...token, ca }), "h1", Date.now()),
    /certificate|self.signed|verify/i,
  );
});

test("an agent that knows an authority never speaks to a bus without TLS", async () => {
  const plain = await startNatsServer({
    ...managedNats(
      { dataDir: otherDir, host: "127.0.0.1", tls: null, websocket: null },
      keys,
      new Account(keys, new Map(), 0),
    ),
    listen: { host: "127.0.0.1", port: 0 },
    log: testLog,
  });
  try {
    const token = decodeEnrollmentToken(enrollment.pack("0123456789abcdef", Date.now() + 60_000));
    const { urls: _, ...rest } = token;
    const text = encodeEnrollmentToken({ ...rest, url: plain.url });
    await assert.rejects(enroll(text, "h1", Date.now()), /does not support 'tls'/);
  } finally {
    await plain.stop();
  }
});

test("where only WebSocket gets through, a host enrols and speaks over it, with the same authority", async () => {
  const { urls = [], ...rest } = await enrolHost();
  const websocket = urls.filter((url) => url.startsWith("wss:"));
  assert.equal(websocket.length, 1);
  // A process of its own: the authority is set for a whole process.
  const script = `
    const { openConnection } = await import("./agent/fleet/connection.ts");
    const { quietLog } = await import("./test/support/fleet-memory.ts");
    const nothing = () => undefined;
    const connected = Promise.withResolvers();
    const handlers = { onConnected: connected.resolve, onOrders: nothing, onHello: nothing, onCurrent: nothing, onAck: nothing, onJwt: nothing };
    const line = openConnection(() => JSON.parse(process.env.CREDENTIALS), handlers, () => 0, quietLog);
    await connected.promise;
    console.log(await line.ping());
    await line[Symbol.asyncDispose]();`;
  const run = (credentials: AgentCredentials) =>
    promisify(execFile)(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", script],
      {
        env: { ...process.env, CREDENTIALS: JSON.stringify(credentials) },
        timeout: 20_000,
      },
    );
  // The first place of every three tries is one where nobody listens.
  const [deaf = 0] = await freePorts(1);
  const credentials = { ...rest, url: `tls://127.0.0.1:${deaf}`, urls: [`tls://127.0.0.1:${deaf}`, ...websocket] };
  assert.equal((await run(credentials)).stdout.trim(), "true");
  const { ca } = await loadBusCertificate(otherDir, ["127.0.0.1"], Date.now());
  const refused = promisify(execFile)(
    process.execPath,
    [
      "-e",
      `
    require("node:tls").setDefaultCACertificates([process.env.CA]);
    const socket = new WebSocket(process.env.URL);
    socket.onopen = () => console.log("open");
    socket.onerror = () => console.log("refused");`,
    ],
    { env: { ...process.env, CA: ca, URL: websocket[0] } },
  );
  assert.equal((await refused).stdout.trim(), "refused");
});

test("a certificate near its end is replaced, and agents come back to the new one", async () => {
  const credentials = await enrolHost();
  const shown = () =>
    new Promise<string>((resolve, reject) => {
      const { host, port } = places.natsListen;
      const socket = connectPlainFirst(host, port, (fingerprint) => resolve(fingerprint), reject);
      socket.setTimeout(10_000, () => socket.destroy(new Error("no answer")));
    });
  const before = await shown();
  const nothing = () => undefined;
  let connects = 0;
  const handlers = {
    onConnected: () => {
      connects += 1;
    },
    onOrders: nothing,
    onHello: nothing,
    onCurrent: nothing,
    onAck: nothing,
    onJwt: nothing,
  };
  await using line = openConnection(
    () => credentials,
    handlers,
    () => 0,
    quietLog,
  );
  await until(() => line.connected(), "the agent is connected");
  assert.equal(await tls.renew(Date.now()), false);
  assert.equal(await tls.renew(Date.now() + 800 * dayMs), true);
  server.reload();
  await until(async () => (await shown().catch(() => before)) !== before, "the server shows the new certificate");
  await until(() => connects > 1 || line.ping(), "the agent speaks with the server again");
  assert.equal(await speaks(credentials), true);
});

/** NATS says its INFO before the handshake. */
function connectPlainFirst(
  host: string,
  port: number,
  done: (fingerprint: string) => void,
  failed: (error: Error) => void,
) {
  const socket = connect(port, host);
  socket.once("data", () => {
    const secure = connectTls({ socket, ca: tls.ca ?? "", host }, () => {
      done(secure.getPeerCertificate().fingerprint256);
      secure.destroy();
    });
    secure.on("error", failed);
  });
  socket.on("error", failed);
  return socket;
}

test("beyond this machine there is TLS unless somebody insists, and then every status says so", async () => {
  const outside = { dataDir: otherDir, natsListen: { host: "0.0.0.0", port: 4222 }, natsTls: "auto" } as const;
  const secured = await openBusTls({ ...outside, natsPublicUrl: "tls://bus.example.com:4222" }, Date.now());
  assert.notEqual(secured.server, null);
  assert.equal(openLine(outside, secured), undefined);
  const insisted = { ...outside, natsTls: "off" } as const;
  const open = await openBusTls(insisted, Date.now());
  assert.equal(open.server, null);
  assert.match(openLine(insisted, open) ?? "", /natsTls is off/);
  const here = { ...outside, natsListen: { host: "127.0.0.1", port: 4222 } };
  const local = await openBusTls(here, Date.now());
  assert.deepEqual([local.server, openLine(here, local)], [null, undefined]);
});

test("given files take the place of our own, and one that holds no certificate is named", async () => {
  const files = {
    cert: join(dataDir, "keys", "bus.pem"),
    key: join(dataDir, "keys", "bus.key"),
    ca: join(dataDir, "keys", "bus-ca.pem"),
  };
  const given = await openBusTls({ ...places, natsTls: files }, Date.now());
  assert.deepEqual(given.server, { certFile: files.cert, keyFile: files.key });
  assert.equal(given.ca, readFileSync(files.ca, "utf8"));
  await assert.rejects(
    openBusTls({ ...places, natsTls: { ...files, ca: files.key } }, Date.now()),
    /bus\.key holds no certificate/,
  );
  await assert.rejects(openBusTls({ ...places, natsTls: { ca: files.ca } }, Date.now()), /name cert and key too/);
});

test("agents are told every place of the bus, the plain ones first", () => {
  const several = { ...places, natsPublicUrl: "tls://one.example.com:4222, tls://two.example.com:4222" };
  assert.deepEqual(publicUrls(several, server.url, tls), [
    "tls://one.example.com:4222",
    "tls://two.example.com:4222",
    `wss://one.example.com:${places.natsWebsocket?.port}`,
  ]);
});

test("a nats-server of one's own runs with the printed configuration, and the coordinator gets in", async () => {
  const [port = 0] = await freePorts(1);
  const own = { ...places, natsListen: { host: "127.0.0.1", port }, natsWebsocket: undefined };
  const text = await externalNatsConfig(own, Date.now());
  assert.match(text, /natsUrl: tls:\/\/127\.0\.0\.1:\d+, natsTls: \{ ca: /);
  const file = join(otherDir, "own.conf");
  writeFileSync(file, text.replaceAll("/var/lib/nats", join(otherDir, "own")));
  const { path } = await findNatsServer(undefined);
  const child = spawn(path, ["-c", file], { stdio: "ignore" });
  try {
    const address = { url: `tls://127.0.0.1:${port}`, ca: tls.ca };
    const connected = async () => openBus(address, keys, testLog).catch(() => undefined);
    let own: Bus | undefined;
    await until(async () => {
      own = await connected();
      return own !== undefined;
    }, "the coordinator is let in");
    await own?.flush();
    await own?.[Symbol.asyncDispose]();
  } finally {
    child.kill();
  }
});
