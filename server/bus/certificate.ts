import { execFile } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { dayMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";

/** `ca` travels inside enrolment tokens: agents trust this authority and no other. */
export type BusCertificate = Readonly<{ ca: string; certFile: string; keyFile: string }>;

/** Agents know the authority for their whole life; the server's own certificate is made anew when it is near its end. */
const caDays = 3650;
const serverDays = 825;
const renewBeforeMs = 60 * dayMs;
const opensslTimeoutMs = 30_000;

/**
 * Makes an authority at the first start, and a certificate of it for these names whenever there is none that fits.
 *
 * @param names  how agents reach the bus: host names and addresses
 * @throws Fleet2banError `unavailable` when openssl is missing or fails
 */
export async function loadBusCertificate(
  dataDir: string,
  names: readonly string[],
  nowMs: number,
): Promise<BusCertificate> {
  const dir = join(dataDir, "keys");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = (name: string) => join(dir, name);
  const [caFile, caKeyFile] = [file("bus-ca.pem"), file("bus-ca.key")];
  const [certFile, keyFile] = [file("bus.pem"), file("bus.key")];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  if (!existsSync(caFile)) {
    const subject = ["-subj", "/CN=fleet2ban bus authority", "-days", String(caDays)];
    const uses = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
    const part = `${caFile}.part`;
    await openssl(["req", "-x509", ...curve, ...subject, ...uses, "-keyout", caKeyFile, "-out", part]);
    renameSync(part, caFile);
  }
  if (!fits(certFile, keyFile, names, nowMs)) {
    const [request, extensions] = [file("bus.csr"), file("bus.ext")];
    const alternatives = names.map((name) => `${isIP(name) === 0 ? "DNS" : "IP"}:${name}`).join(",");
    writeFileSync(extensions, `subjectAltName=${alternatives}\nextendedKeyUsage=serverAuth\n`, { mode: 0o600 });
    await openssl(["req", "-new", ...curve, "-subj", "/CN=fleet2ban bus", "-keyout", keyFile, "-out", request]);
    const issuer = ["-CA", caFile, "-CAkey", caKeyFile, "-CAcreateserial", "-days", String(serverDays)];
    await openssl(["x509", "-req", "-in", request, ...issuer, "-extfile", extensions, "-out", certFile]);
    for (const scrap of [request, extensions]) rmSync(scrap, { force: true });
  }
  return { ca: readFileSync(caFile, "utf8"), certFile, keyFile };
}

function fits(certFile: string, keyFile: string, names: readonly string[], nowMs: number): boolean {
  if (!existsSync(certFile) || !existsSync(keyFile)) return false;
  const certificate = new X509Certificate(readFileSync(certFile));
  // A crash in between may have left a new key beside the old certificate.
  if (!certificate.checkPrivateKey(createPrivateKey(readFileSync(keyFile)))) return false;
  if (certificate.validToDate.getTime() - nowMs < renewBeforeMs) return false;
  return names.every(
    (name) => (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined,
  );
}

async function openssl(args: readonly string[]): Promise<void> {
  const before = process.umask(0o077);
  try {
    const running = promisify(execFile)("openssl", args, { timeout: opensslTimeoutMs });
    process.umask(before);
    await running;
  } catch (cause) {
    throw new Fleet2banError(
      "unavailable",
      "openssl could not make the certificate of the bus; install it with `apt-get install openssl`, " +
        "or listen on 127.0.0.1 only",
      { cause },
    );
  } finally {
    process.umask(before);
  }
}
