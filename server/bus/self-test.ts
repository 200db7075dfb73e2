import { connect, jwtAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import { lineOptions } from "../../shared/bus-line.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { subjects } from "../../shared/subjects.ts";
import { type BusAddress, closeConnection, flushWithin } from "./connect.ts";
import { agentJwt } from "./jwt.ts";
import { type BusKeys, newUserNkey } from "./keys.ts";

const timeoutMs = 5_000;
/** Names no enrolment gives: it has no row in the database, so nothing it said would be heard. */
const stranger = { host: "self-test", tenant: "self-test" } as const;

/**
 * Whether a nats-server that we did not configure ourselves really refuses: somebody without credentials, and an agent
 * that wants to hear another tenant. A `no_auth_user` or an open listener in its configuration would let in everybody.
 *
 * @throws Fleet2banError `invalid` when it does not
 */
export async function requireRefusals(address: BusAddress, keys: BusKeys): Promise<void> {
  const remedy = "run it with what `fleet2ban-server nats-config` prints and nothing that lets others in";
  const anonymous = await connectOrNot(address, {});
  if (anonymous !== undefined) {
    await closeConnection(anonymous);
    throw new Fleet2banError("invalid", `NATS at ${address.url} lets strangers in; ${remedy}`);
  }
  const { publicKey, seed } = newUserNkey();
  const jwt = agentJwt(keys, { publicKey, ...stranger }, Date.now());
  const agent = await connectOrNot(address, {
    authenticator: jwtAuthenticator(jwt, new TextEncoder().encode(seed)),
  });
  // Refused altogether, perhaps because it does not know our newest account yet: nothing leaks.
  if (agent === undefined) return;
  try {
    let isRefused = false;
    agent.subscribe(subjects.tenantOrders("another"), {
      callback: (error) => {
        isRefused ||= error !== null;
      },
    });
    // Its answer to the subscription comes before that to the second question.
    await flushWithin(agent, timeoutMs);
    await flushWithin(agent, timeoutMs);
    if (isRefused) return;
    throw new Fleet2banError("invalid", `NATS at ${address.url} lets an agent hear another tenant's orders; ${remedy}`);
  } finally {
    await closeConnection(agent);
  }
}

async function connectOrNot(
  { url, urls, ca }: BusAddress,
  options: Parameters<typeof connect>[0],
): Promise<NatsConnection | undefined> {
  const servers = [...(urls ?? [url])];
  try {
    return await connect({
      ...{ servers, reconnect: false, ignoreClusterUpdates: true, timeout: timeoutMs },
      ...lineOptions(servers, ca),
      ...options,
    });
  } catch {
    return undefined;
  }
}
