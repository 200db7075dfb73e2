import { sign } from "node:crypto";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { lineOptions } from "../../shared/bus-line.ts";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { signingKeyOf } from "../../shared/nkey-seed.ts";

export type BusAddress = Readonly<{
  url: string;
  /** All of them when there are several. */
  urls?: readonly string[];
  /** Certificate authority in PEM; null = the system's, or no TLS (the address's scheme says which). */
  ca: string | null;
}>;

const reconnectWaitMs = 250;
const reconnectJitterMs = 250;
const connectTimeoutMs = 10_000;
/** A flush on a connection the server has closed may never settle. */
export const flushTimeoutMs = 5_000;

/**
 * Connects as one of the coordinator's users and stays connected: it tries again for ever, also after refusals, because
 * a server that restarts with old data refuses us until it has caught up.
 *
 * @throws Fleet2banError `unavailable` when the first connect fails
 */
export async function connectAs(
  address: BusAddress,
  user: Readonly<{ name: string; jwt: () => string; seed: string; inbox: string }>,
): Promise<NatsConnection> {
  const servers = [...(address.urls ?? [address.url])];
  const key = signingKeyOf(user.seed);
  const signed = (nonce: string) => sign(null, Buffer.from(nonce), key).toString("base64");
  try {
    return await connect({
      servers,
      name: user.name,
      authenticator: (nonce) => ({ jwt: user.jwt(), sig: signed(nonce ?? "") }),
      inboxPrefix: user.inbox,
      maxReconnectAttempts: -1,
      ignoreAuthErrorAbort: true,
      ignoreClusterUpdates: true,
      reconnectTimeWait: reconnectWaitMs,
      reconnectJitter: reconnectJitterMs,
      reconnectJitterTLS: reconnectJitterMs,
      timeout: connectTimeoutMs,
      ...lineOptions(servers, address.ca),
    });
  } catch (cause) {
    throw new Fleet2banError(
      "unavailable",
      `NATS at ${address.url}: ${messageOf(cause)}; does it run, with the configuration this coordinator wrote?`,
      { cause },
    );
  }
}

/** @throws Fleet2banError `unavailable` when the server does not confirm in time */
export async function flushWithin(connection: NatsConnection, timeoutMs = flushTimeoutMs): Promise<void> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => timeout.reject(new Fleet2banError("unavailable", "NATS did not confirm what was sent")),
    timeoutMs,
  );
  try {
    await Promise.race([connection.flush(), timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Closes, and does not wait longer than a flush may take. */
export async function closeConnection(connection: NatsConnection): Promise<void> {
  await flushWithin(connection, 1_000).catch(() => undefined);
  await connection.close();
}
