import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAccount, createOperator, createUser, fromSeed, type KeyPair } from "@nats-io/nkeys";
import { Fleet2banError } from "../../shared/errors.ts";
import { base32Alphabet, signingKeyOf } from "../../shared/nkey-seed.ts";

/** One NATS identity: `publicKey` names it everywhere, `signingKey` signs with node:crypto, 300 times faster than nkeys. */
export type Nkey = Readonly<{ publicKey: string; seed: string; signingKey: KeyObject }>;

/** Every secret of the coordinator. Whoever holds the directory holds the fleet. */
export type BusKeys = Readonly<{
  /** Signs the accounts, and so also revocations. */
  operator: Nkey;
  account: Nkey;
  systemAccount: Nkey;
  /** Can make agents and nothing else: the account binds it to the agents' permissions. */
  agentSigner: Nkey;
  /** Of the one before: what it made still counts, nothing new is made with it; null = there is none. */
  agentSignerOld: string | null;
  /** Can make enrolment users and nothing else. */
  enrollSigner: Nkey;
  coordinator: Nkey;
  systemUser: Nkey;
  /** Ed25519, signs order frames. Agents learn its public half when they enrol. */
  orders: KeyObject;
  /** The public half: SPKI DER in base64url, as tokens carry it. */
  ordersPublic: string;
  /** The one that is to follow, announced to agents ahead; null = there is none. */
  ordersNext: string | null;
}>;

const nkeyFiles = {
  operator: { file: "operator.nk", create: createOperator },
  account: { file: "account.nk", create: createAccount },
  systemAccount: { file: "system-account.nk", create: createAccount },
  agentSigner: { file: "agent-signer.nk", create: createAccount },
  enrollSigner: { file: "enroll-signer.nk", create: createAccount },
  coordinator: { file: "coordinator.nk", create: createUser },
  systemUser: { file: "system-user.nk", create: createUser },
} as const;

/**
 * Makes the keys at the first start and reads them afterwards: `<dataDir>/keys`, 0700, files 0600.
 *
 * @throws Fleet2banError `unavailable` when the directory cannot be used, `invalid` when a file is not a key
 */
export function loadBusKeys(dataDir: string): BusKeys {
  const dir = join(dataDir, "keys");
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new Fleet2banError("unavailable", `${dir}: cannot be made; is the data directory writable?`, { cause });
  }
  const load = (name: keyof typeof nkeyFiles) => loadNkey(join(dir, nkeyFiles[name].file), nkeyFiles[name].create);
  const orders = loadOrdersKey(join(dir, "orders.pem"));
  const [oldFile, nextFile] = [join(dir, "agent-signer-old.nk"), join(dir, "orders-next.pem")];
  return {
    operator: load("operator"),
    account: load("account"),
    systemAccount: load("systemAccount"),
    agentSigner: load("agentSigner"),
    enrollSigner: load("enrollSigner"),
    coordinator: load("coordinator"),
    systemUser: load("systemUser"),
    orders,
    ordersPublic: publicText(orders),
    agentSignerOld: existsSync(oldFile) ? loadNkey(oldFile, createAccount).publicKey : null,
    ordersNext: existsSync(nextFile) ? publicText(loadOrdersKey(nextFile)) : null,
  };
}

/** A key that is used once and kept nowhere, for enrolment users. */
export function newUserNkey(): Nkey {
  return nkeyOf(createUser());
}

function loadNkey(file: string, create: () => KeyPair): Nkey {
  const seed = readOrMake(file, () => new TextDecoder().decode(create().getSeed()));
  try {
    return nkeyOf(fromSeed(new TextEncoder().encode(seed.trim())));
  } catch (cause) {
    throw new Fleet2banError("invalid", `${file}: not a key; restore it from a backup of the data directory`, {
      cause,
    });
  }
}

function nkeyOf(pair: KeyPair): Nkey {
  const seed = new TextDecoder().decode(pair.getSeed());
  return { publicKey: pair.getPublicKey(), seed, signingKey: signingKeyOf(seed) };
}

function publicText(key: KeyObject): string {
  return createPublicKey(key).export({ type: "spki", format: "der" }).toString("base64url");
}

function loadOrdersKey(file: string): KeyObject {
  const pem = readOrMake(file, () =>
    generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  );
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new Fleet2banError("invalid", `${file}: not a key; restore it from a backup of the data directory`, {
      cause,
    });
  }
}

/** A file appears whole or not at all, and never replaces one that is there: a lost key loses the fleet. */
function readOrMake(file: string, make: () => string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) {
      throw new Fleet2banError("unavailable", `${file}: cannot be read; it must belong to the coordinator's user`, {
        cause: error,
      });
    }
  }
  const part = `${file}.${process.pid}.part`;
  try {
    writeFileSync(part, make(), { mode: 0o600, flag: "wx", flush: true });
    linkSync(part, file);
  } catch (cause) {
    throw new Fleet2banError("unavailable", `${file}: cannot be written; is the data directory writable?`, { cause });
  } finally {
    rmSync(part, { force: true });
  }
  return readFileSync(file, "utf8");
}

/** RFC 4648 without padding, as NATS writes JWT ids. */
export function base32Text(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += base32Alphabet.charAt((value >>> bits) & 31);
    }
  }
  return bits > 0 ? text + base32Alphabet.charAt((value << (5 - bits)) & 31) : text;
}
