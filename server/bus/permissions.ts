import { partitionDefault, subjects } from "../../shared/subjects.ts";
import { partitionCount } from "../domain/partition.ts";

/** What each kind of user may say and hear. The whole security of the bus is this page; its tests attack every line. */
export type Permissions = Readonly<{ publish: readonly string[]; subscribe: readonly string[] }>;

export const failureStream = "FAILURES";
export const failureConsumer = (partition: number) => `ingest-${partition}`;
/** Where the coordinator hears answers to its own requests. */
export const coordinatorInbox = "_INBOX.coordinator";
export const systemInbox = "_INBOX.system";

/** Bytes of one message of an agent: a full failure batch. nats-server closes the connection of whoever sends more. */
const agentPayloadBytes = 65_536;
/** An agent needs five subscriptions. */
const agentSubscriptionsMax = 10;

/**
 * An agent: nats-server puts the user's own name and tenant in, so it can only ever speak as itself and hear what is
 * meant for it. No JetStream, no inbox, no `$SYS`: with those an agent could replay old messages under any subject.
 */
export const agentTemplate = {
  pub: { allow: [subjects.failures("*", "{{name()}}"), `f2b.v1.up.{{name()}}.>`] },
  sub: {
    allow: [
      subjects.fleetOrders,
      subjects.hello,
      subjects.tenantOrders("{{tag(tenant)}}"),
      subjects.downOf("{{name()}}"),
    ],
  },
  subs: agentSubscriptionsMax,
  data: -1,
  payload: agentPayloadBytes,
  allowed_connection_types: ["STANDARD", "WEBSOCKET"],
};

/**
 * Agents know of no partitions: the server spreads what they publish by the host's name, the last token of the subject.
 * Source: nats-server, "Subject Mapping and Partitioning", deterministic subject token partitioning.
 */
export const failureMappings = {
  [subjects.failures(partitionDefault, "*")]: [
    { subject: subjects.failures(`{{partition(${partitionCount},1)}}`, "{{wildcard(1)}}"), weight: 100 },
  ],
};

/** The holder of an enrolment token: one question, one answer. */
export const enrollTemplate = {
  pub: { allow: [subjects.enroll("{{name()}}")] },
  sub: { allow: [subjects.enrollInbox("{{name()}}")] },
  subs: 2,
  data: -1,
  payload: 4096,
  allowed_connection_types: ["STANDARD", "WEBSOCKET"],
};

export const coordinatorPermissions: Permissions = {
  publish: [
    subjects.fleetOrders,
    subjects.hello,
    subjects.tenantOrders("*"),
    subjects.downOf("*"),
    subjects.enrollInbox("*"),
    subjects.coordinators,
    // Passed on to the coordinator whose part it is.
    subjects.failuresOfAll,
    "$JS.API.INFO",
    `$JS.API.STREAM.*.${failureStream}`,
    `$JS.API.CONSUMER.*.${failureStream}.>`,
    `$JS.API.CONSUMER.DURABLE.CREATE.${failureStream}.>`,
    `$JS.API.CONSUMER.MSG.NEXT.${failureStream}.>`,
    `$JS.ACK.${failureStream}.>`,
  ],
  subscribe: ["f2b.v1.up.>", subjects.enrollOfAll, subjects.coordinators, `${coordinatorInbox}.>`],
};

/** In the system account: hand in new account JWTs (revocations), see who connects. */
export const systemPermissions: Permissions = {
  publish: ["$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.SERVER.PING.>"],
  subscribe: [`${systemInbox}.>`, "$SYS.ACCOUNT.*.CONNECT", "$SYS.ACCOUNT.*.DISCONNECT"],
};
