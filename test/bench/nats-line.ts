import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, type SecureContext } from "node:tls";
import { base32Text } from "../../server/bus/keys.ts";

/** A user's key as NATS writes it, made 100 times faster than the library makes one. Source: nkeys, `Encode`. */
export function fastUserKey(): Readonly<{ publicKey: string; signingKey: KeyObject }> {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  const body = Buffer.concat([Buffer.of(20 << 3), raw]);
  const check = Buffer.alloc(2);
  check.writeUInt16LE(crc16(body));
  return { publicKey: base32Text(Buffer.concat([body, check])), signingKey: privateKey };
}

function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}

export type LineUser = Readonly<{ name: string; jwt: string; signingKey: KeyObject }>;
export type LineHandlers = Readonly<{
  onReady: () => void;
  onMessage: (subject: string, payload: Buffer) => void;
  onClosed: () => void;
}>;

/** One connection to nats-server that can subscribe, publish and answer pings: a tenth of the library's memory. */
export class NatsLine {
  readonly #user: LineUser;
  readonly #handlers: LineHandlers;
  readonly #subscriptions: readonly string[];
  #socket: Socket;
  /** What came and was not read yet, and how much of it the next message needs. */
  #parts: Buffer[] = [];
  #held = 0;
  #needed = 0;
  #closed = false;

  constructor(
    place: Readonly<{ host: string; port: number; tls: boolean }>,
    user: LineUser,
    subscriptions: readonly string[],
    handlers: LineHandlers,
  ) {
    this.#user = user;
    this.#handlers = handlers;
    this.#subscriptions = subscriptions;
    const socket = connectTcp(place.port, place.host);
    this.#socket = socket;
    const closed = () => this.#end();
    socket.on("error", closed).on("close", closed);
    socket.once("data", (data) => {
      const nonce = /"nonce":"([^"]+)"/.exec(data.toString("latin1"))?.[1] ?? "";
      if (!place.tls) this.#log(nonce);
      else {
        const secure = connectTls({ socket, secureContext, rejectUnauthorized: false }, () => this.#log(nonce));
        this.#socket = secure;
        secure.on("error", closed).on("close", closed);
      }
    });
  }

  publish(subject: string, payload: Uint8Array): boolean {
    if (this.#closed || this.#socket.writableEnded) return false;
    this.#socket.write(Buffer.concat([Buffer.from(`PUB ${subject} ${payload.length}\r\n`), payload, crlf]));
    return true;
  }

  close(): void {
    this.#end();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    this.#handlers.onClosed();
  }

  #log(nonce: string): void {
    const { jwt, name, signingKey } = this.#user;
    const sig = sign(null, Buffer.from(nonce), signingKey).toString("base64url");
    const hello = {
      verbose: false,
      pedantic: false,
      lang: "bench",
      version: "1",
      protocol: 1,
      name,
      jwt,
      sig,
      headers: true,
    };
    const subscribe = this.#subscriptions.map((subject, index) => `SUB ${subject} ${index + 1}\r\n`).join("");
    this.#socket.on("data", (data: Buffer) => this.#read(data));
    this.#socket.write(`CONNECT ${JSON.stringify(hello)}\r\n${subscribe}PING\r\n`);
  }

  #read(data: Buffer): void {
    this.#parts.push(data);
    this.#held += data.length;
    // A long message comes in many pieces, which are put together once.
    if (this.#held < this.#needed) return;
    let rest = this.#parts.length === 1 ? data : Buffer.concat(this.#parts);
    this.#needed = 0;
    for (;;) {
      const end = rest.indexOf("\r\n");
      if (end < 0) break;
      const words = rest.toString("latin1", 0, end).split(" ");
      let next = end + 2;
      if (words[0] === "MSG") {
        const last = end + 2 + Number(words.at(-1));
        next = last + 2;
        if (rest.length < next) {
          this.#needed = next;
          break;
        }
        this.#handlers.onMessage(words[1] ?? "", rest.subarray(end + 2, last));
      } else if (words[0] === "PING") this.#socket.write("PONG\r\n");
      else if (words[0] === "PONG") this.#handlers.onReady();
      else if (words[0] === "-ERR") this.#end();
      rest = rest.subarray(next);
    }
    this.#parts = rest.length === 0 ? [] : [rest];
    this.#held = rest.length;
  }
}

/**
 * A handshake costs the server what any agent's does, and this side as little as it can: ten thousand hosts have ten
 * thousand machines for it, and here they share two cores with the server that is measured. So nobody's certificate is
 * checked, and no key is made for an exchange that Debian's nats-server does not know (ML-KEM, 0.5 ms).
 */
const secureContext: SecureContext = createSecureContext({ ecdhCurve: "X25519" });

const crlf = Buffer.from("\r\n");

/** Names a frame by its signature, so that what ten thousand agents receive is checked once per process. */
export function nameOf(payload: Buffer): string {
  return payload.toString("latin1", 0, 65);
}
