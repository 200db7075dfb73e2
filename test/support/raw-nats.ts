import { sign } from "node:crypto";
import { connect, type Socket } from "node:net";
import { agentJwt } from "../../server/bus/jwt.ts";
import { newUserNkey } from "../../server/bus/keys.ts";
import type { AgentCredentials } from "../../shared/enrollment.ts";
import { signingKeyOf } from "../../shared/nkey-seed.ts";
import type { TestNats } from "./nats.ts";

type RawUser = Pick<AgentCredentials, "url" | "jwt" | "seed">;

/** A client of somebody's own: it writes what he likes, and reads or does not. Resolves when the server has let it in. */
export async function connectRaw({ url, jwt, seed }: RawUser): Promise<Socket> {
  const { hostname, port } = new URL(url.replace(/^\w+:/, "http:"));
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  let said = "";
  let hasAsked = false;
  const entered = Promise.withResolvers<void>();
  const listen = (data: Buffer) => {
    said += data.toString("latin1");
    const nonce = /"nonce":"([^"]+)"/.exec(said)?.[1];
    if (nonce !== undefined && !hasAsked) {
      hasAsked = true;
      const sig = sign(null, Buffer.from(nonce), signingKeyOf(seed)).toString("base64url");
      socket.write(
        `CONNECT ${JSON.stringify({ verbose: false, pedantic: false, headers: true, jwt, sig })}\r\nPING\r\n`,
      );
    } else if (said.includes("PONG")) entered.resolve();
  };
  socket.on("data", listen);
  socket.once("close", () => entered.reject(new Error(`the server closed: ${said}`)));
  await entered.promise;
  socket.off("data", listen);
  return socket;
}

/** Real credentials of a host that nobody enrolled. */
export function rawAgent(nats: TestNats, host: string, tenant = "t1"): RawUser & Readonly<{ publicKey: string }> {
  const { publicKey, seed } = newUserNkey();
  const jwt = agentJwt(nats.keys, { publicKey, host, tenant }, Date.now());
  return { url: nats.address.url, jwt, seed, publicKey };
}
