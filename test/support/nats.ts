import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, jwtAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import { pino } from "pino";
import { Account } from "../../server/bus/account.ts";
import type { BusAddress } from "../../server/bus/connect.ts";
import { agentJwt } from "../../server/bus/jwt.ts";
import { type BusKeys, loadBusKeys, type Nkey, newUserNkey } from "../../server/bus/keys.ts";
import { managedNats } from "../../server/bus/managed-nats.ts";
import { type NatsServer, startNatsServer } from "../../server/embedded/nats-server.ts";
import type { Logger } from "../../server/logger.ts";

/** Quiet unless a test is being debugged: `FLEET2BAN_TEST_LOG=debug`. */
export const testLog: Logger = pino({ level: process.env.FLEET2BAN_TEST_LOG ?? "silent" });

export type TestNats = AsyncDisposable &
  Readonly<{ dataDir: string; keys: BusKeys; account: Account; server: NatsServer; address: BusAddress }>;

export type TestNatsOptions = Readonly<{
  onViolation?: ((publicKey: string) => void) | undefined;
  /** Changes its configuration at each of its starts. */
  edit?: (config: string) => string;
}>;

/** A real nats-server on free ports with keys of its own; gone, files included, when the test is over, however it ends. */
export async function startTestNats({ onViolation, edit = (text) => text }: TestNatsOptions = {}): Promise<TestNats> {
  const dataDir = mkdtempSync(join(tmpdir(), "fleet2ban-nats-"));
  const keys = loadBusKeys(dataDir);
  const account = new Account(keys, new Map(), Date.now());
  const { dir, config } = managedNats({ dataDir, host: "127.0.0.1", tls: null, websocket: null }, keys, account);
  const listen = { host: "127.0.0.1", port: 0 };
  const server = await startNatsServer({
    dir,
    config: (port) => edit(config(port)),
    listen,
    log: testLog,
    onViolation,
  });
  const killOnExit = () => {
    const pid = server.pid();
    if (pid !== undefined) process.kill(pid, "SIGKILL");
  };
  process.once("exit", killOnExit);
  // The test runner ends a file that takes too long with this; without a handler nothing of ours would run.
  const exitOnSignal = () => process.exit(143);
  process.once("SIGTERM", exitOnSignal);
  return {
    dataDir,
    keys,
    account,
    server,
    address: { url: server.url, ca: null },
    async [Symbol.asyncDispose]() {
      process.off("exit", killOnExit);
      process.off("SIGTERM", exitOnSignal);
      await server.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export type TestAgent = AsyncDisposable &
  Readonly<{ host: string; nkey: Nkey; connection: NatsConnection; errors: Error[] }>;

/** An agent with real credentials and a client of its own, to do with them what it likes. */
export async function connectAgent(nats: TestNats, host: string, tenant = "default"): Promise<TestAgent> {
  const nkey = newUserNkey();
  const jwt = agentJwt(nats.keys, { publicKey: nkey.publicKey, host, tenant }, Date.now());
  const connection = await connectUser(nats, jwt, nkey.seed);
  const errors = collectErrors(connection);
  return { host, nkey, connection, errors, [Symbol.asyncDispose]: () => connection.close() };
}

/** Grows with every refusal of the server. */
export function collectErrors(connection: NatsConnection): Error[] {
  const errors: Error[] = [];
  const follow = async () => {
    for await (const status of connection.status()) if (status.type === "error") errors.push(status.error);
  };
  void follow();
  return errors;
}

export function connectUser(nats: TestNats, jwt: string, seed: string): Promise<NatsConnection> {
  return connect({
    servers: nats.address.url,
    authenticator: jwtAuthenticator(jwt, new TextEncoder().encode(seed)),
    reconnect: false,
    timeout: 5_000,
  });
}

/** Waits until `condition` holds. The deadline is generous: it only ends a test that has already failed. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 20_000,
): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(10);
  }
}
