import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";

/**
 * How to speak with the bus at these addresses: with an authority, or when an address says so, the line is encrypted or
 * there is none.
 *
 * @param ca  certificate authority in PEM; null = the system's, where the address says `tls:`
 */
export function lineOptions(urls: readonly string[], ca: string | null) {
  if (ca === null && !urls.some((url) => url.startsWith("tls:"))) return {};
  const hosts = urls.map((url) => new URL(url.replace(/^\w+:/, "http:")).hostname.replace(/^\[|\]$/g, ""));
  const addresses = hosts.filter((host) => isIP(host) !== 0);
  return {
    tls: {
      ...(ca === null ? {} : { ca }),
      // Node is told names only; of an address it asks whether the certificate is for "localhost".
      checkServerIdentity(name: string, certificate: PeerCertificate): Error | undefined {
        const wrong = checkServerIdentity(name, certificate);
        if (wrong === undefined || name !== "localhost") return wrong;
        const fits = addresses.some((address) => checkServerIdentity(address, certificate) === undefined);
        return fits ? undefined : wrong;
      },
    },
  };
}

/** Whether only this machine can reach a listener there. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}
