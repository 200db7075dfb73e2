import { sign } from "node:crypto";
import { setDefaultCACertificates } from "node:tls";
import {
  type Authenticator,
  type ConnectionOptions,
  connect,
  type NatsConnection,
  wsconnect,
} from "@nats-io/transport-node";
import { lineOptions } from "../../shared/bus-line.ts";
import type { AgentCredentials } from "../../shared/enrollment.ts";
import { signingKeyOf } from "../../shared/nkey-seed.ts";

/** Where the bus is and whom to believe that it is. */
export type BusPlaces = Pick<AgentCredentials, "url" | "urls" | "ca">;

/** @param jwt  asked before each connect, so that a renewed one is used */
export function authenticatorFor(seed: string, jwt: () => string): Authenticator {
  const key = signingKeyOf(seed);
  return (nonce) => ({ jwt: jwt(), sig: sign(null, Buffer.from(nonce ?? ""), key).toString("base64") });
}

/**
 * Connects to one of the fleet's addresses. Those over WebSocket are only for networks that let nothing else out: they
 * cost 25 MB of memory.
 *
 * @param attempt  from 0; every third one goes over WebSocket, where there is one
 */
export function connectTo(places: BusPlaces, options: ConnectionOptions, attempt: number): Promise<NatsConnection> {
  const all = places.urls ?? [places.url];
  const overWebSocket = all.filter((url) => /^wss?:/.test(url));
  const plain = all.filter((url) => !/^wss?:/.test(url));
  if (overWebSocket.length > 0 && (attempt % 3 === 2 || plain.length === 0)) {
    // WebSocket takes no authority of its own. Nothing else in the agent speaks TLS, so the whole process trusts only ours.
    if (places.ca !== null) setDefaultCACertificates([places.ca]);
    return wsconnect({ ...options, servers: overWebSocket });
  }
  return connect({ ...options, servers: plain, ...lineOptions(plain, places.ca) });
}
