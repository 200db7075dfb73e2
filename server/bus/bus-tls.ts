import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { isLoopback } from "../../shared/bus-line.ts";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { loadBusCertificate } from "./certificate.ts";

/** The settings that decide how agents reach the bus. */
export type BusPlaces = Readonly<{
  dataDir: string;
  natsUrl?: string | undefined;
  natsListen: Readonly<{ host: string; port: number }>;
  natsPublicUrl?: string | undefined;
  natsWebsocket?: Readonly<{ host: string; port: number }> | undefined;
  natsTls: "auto" | "on" | "off" | Readonly<{ cert?: string | undefined; key?: string | undefined; ca: string }>;
}>;

export type BusTls = Readonly<{
  /** What agents and we trust, in PEM; null = no TLS, or whatever the system trusts. */
  ca: string | null;
  /** What a managed server shows; null = no TLS. */
  server: Readonly<{ certFile: string; keyFile: string }> | null;
  /** To be called now and then. @returns whether the server must read its certificate again */
  renew(nowMs: number): Promise<boolean>;
}>;

const noTls: BusTls = { ca: null, server: null, renew: async () => false };

/**
 * Decides about TLS: always, unless the bus is only this machine's or somebody insists on doing without.
 *
 * @throws Fleet2banError `invalid` for files that cannot be used, `unavailable` without openssl
 */
export async function openBusTls(places: BusPlaces, nowMs: number): Promise<BusTls> {
  const { natsTls, natsUrl, dataDir } = places;
  if (typeof natsTls === "object") return givenTls(natsTls, natsUrl === undefined);
  // A server of somebody else's: its address's scheme says it, and the system's authorities vouch for it.
  if (natsUrl !== undefined || natsTls === "off" || (natsTls === "auto" && isOnlyHere(places))) return noTls;
  const names = certificateNames(places);
  const { ca, ...server } = await loadBusCertificate(dataDir, names, nowMs);
  let shown = readFileSync(server.certFile, "utf8");
  return {
    ca,
    server,
    async renew(laterMs) {
      await loadBusCertificate(dataDir, names, laterMs);
      const before = shown;
      shown = readFileSync(server.certFile, "utf8");
      return shown !== before;
    },
  };
}

/** Why agents' lines are open to whoever is in between; undefined = they are not. */
export function openLine(places: BusPlaces, tls: BusTls): string | undefined {
  if (places.natsUrl !== undefined || tls.server !== null || isOnlyHere(places)) return undefined;
  return "natsTls is off: whoever is between agents and the bus reads failures and can cut orders off";
}

/** Where agents connect, the best place first; those that begin with ws are for when nothing else gets through. */
export function publicUrls(places: BusPlaces, listeningUrl: string, tls: BusTls): readonly string[] {
  const { natsPublicUrl, natsWebsocket } = places;
  const port = new URL(listeningUrl).port;
  const scheme = tls.server === null ? "nats" : "tls";
  const given = (natsPublicUrl ?? "").split(",").flatMap((url) => url.trim() || []);
  const own = places.natsUrl ?? `${scheme}://${urlHost(reachableHost(places.natsListen.host))}:${port}`;
  const urls = given.length > 0 ? given : [own];
  if (natsWebsocket === undefined || urls.some((url) => /^wss?:/.test(url))) return urls;
  const host = new URL(urls[0] ?? own).hostname;
  return [...urls, `${tls.server === null ? "ws" : "wss"}://${host}:${natsWebsocket.port}`];
}

function givenTls(files: Exclude<BusPlaces["natsTls"], string>, managed: boolean): BusTls {
  const { cert: certFile, key: keyFile } = files;
  const server = certFile === undefined || keyFile === undefined ? null : { certFile, keyFile };
  if (managed && server === null) {
    throw new Fleet2banError("invalid", "natsTls: name cert and key too; the managed nats-server needs them");
  }
  let shown = certFile === undefined ? "" : readPem(certFile);
  return {
    ca: readPem(files.ca),
    server,
    async renew() {
      const before = shown;
      shown = certFile === undefined ? "" : readPem(certFile);
      return shown !== before;
    },
  };
}

function readPem(file: string): string {
  let text = "";
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new Fleet2banError("invalid", `natsTls: ${file} cannot be read: ${messageOf(cause)}`, { cause });
  }
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new Fleet2banError("invalid", `natsTls: ${file} holds no certificate in PEM`);
}

/** Every name and address under which an agent, or we, may look for the bus. */
function certificateNames(places: BusPlaces): readonly string[] {
  const { natsListen, natsPublicUrl } = places;
  const given = (natsPublicUrl ?? "").split(",").flatMap((url) => url.trim() || []);
  const hosts = given.map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ""));
  // Node asks whether a certificate without a name is for "localhost"; agents of version 0.1.0 do not know better.
  return [...new Set([...hosts, reachableHost(natsListen.host), "127.0.0.1", "localhost"])];
}

/** Whether agents of other machines cannot reach the bus. */
export function isOnlyHere({ natsUrl, natsListen }: Pick<BusPlaces, "natsUrl" | "natsListen">): boolean {
  return natsUrl === undefined && isLoopback(natsListen.host);
}

/** A bus that listens everywhere is told to agents by this machine's first address that others can reach. */
function reachableHost(host: string): string {
  if (host !== "0.0.0.0" && host !== "::") return host;
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const outer = addresses.find(({ internal, family }) => !internal && family === "IPv4");
  return outer?.address ?? "127.0.0.1";
}

function urlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
