import { mkdirSync } from "node:fs";
import { type BusPlaces, openBusTls, publicUrls } from "./bus-tls.ts";
import { accountJwt, operatorJwt, systemAccountJwt } from "./jwt.ts";
import { loadBusKeys } from "./keys.ts";
import { natsConfig, natsEnvironment } from "./nats-config.ts";

/** Where Debian's package keeps what a nats-server writes. */
const externalDir = "/var/lib/nats";

/**
 * What a nats-server of one's own must run so that this coordinator, which has the keys, can use it with `natsUrl`. The
 * keys and certificates are made in the data directory when they are not there yet.
 */
export async function externalNatsConfig(places: BusPlaces, nowMs: number): Promise<string> {
  mkdirSync(places.dataDir, { recursive: true });
  const keys = loadBusKeys(places.dataDir);
  const { natsUrl: _, ...own } = places;
  const tls = await openBusTls(own, nowMs);
  const { host, port } = places.natsListen;
  const text = natsConfig({
    ...{ host, port, dataDir: externalDir, managed: null, tls: tls.server, websocket: places.natsWebsocket ?? null },
    operatorJwt: operatorJwt(keys, nowMs),
    systemAccount: { publicKey: keys.systemAccount.publicKey, jwt: systemAccountJwt(keys, nowMs) },
    // Who is revoked the coordinator says as soon as it connects, and again whenever the server comes back.
    account: { publicKey: keys.account.publicKey, jwt: accountJwt(keys, new Map(), nowMs) },
  });
  const [url] = publicUrls(own, `nats://${host.includes(":") ? `[${host}]` : host}:${port}`, tls);
  const files =
    tls.server === null ? [] : [`# Copy ${tls.server.certFile} and ${tls.server.keyFile} to where it runs.`];
  const ca = tls.ca === null ? "" : `, natsTls: { ca: ${places.dataDir}/keys/bus-ca.pem }`;
  return [
    "# For nats-server 2.9 or later; before agents of strangers connect: 2.11.16, 2.12.7, 2.14.0 or later.",
    ...files,
    `# In its environment, for less memory: GOGC=${natsEnvironment.GOGC}`,
    `# In the coordinator's settings: natsUrl: ${url}${ca}`,
    text,
  ].join("\n");
}
