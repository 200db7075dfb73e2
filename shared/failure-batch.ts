import { Fleet2banError } from "./errors.ts";
import * as shape from "./shape.ts";

/** Rows of one batch. More would pass the agent's 64 KiB payload limit with IPv6 addresses and sample lines absent. */
export const batchRowsMax = 500;
/** Bytes of one encoded batch: under the 65 536 of an agent's credentials, with room for the protocol's own words. */
export const batchBytesMax = 60_000;
/** Bytes of one sample line: enough to recognise an attack, too little to carry one. */
export const sampleLengthMax = 256;
/** A jail's name on the wire; longer ones are refused when the jail is read. */
export const jailNamePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

const utf8 = new TextDecoder("utf-8", { fatal: true });
/** The longest spelling of an address: IPv6 with an IPv4 tail. */
const addressLengthMax = 45;
/** Lines one row may stand for: an agent adds up one second. */
const rowCountMax = 100_000;

const index = shape.int().check(shape.nonnegative());
const address = shape.string().check(shape.maxLength(addressLengthMax));
const count = shape.int().check(shape.minimum(1), shape.maximum(rowCountMax));
const sample = shape.string().check(shape.maxLength(sampleLengthMax));

const row = shape.union([
  shape.tuple([shape.int(), address, index, count]),
  shape.tuple([shape.int(), address, index, count, sample]),
]);
/** seconds after `t`, banned id (address or network), jail, bantime in seconds or -1 for ever */
const localBanRow = shape.tuple([
  shape.int(),
  shape.string().check(shape.maxLength(49)),
  index,
  shape.int().check(shape.minimum(-1)),
]);

const header = {
  v: shape.literal(1),
  /** Names one life of the agent's state directory; a new one starts its sequence anew. */
  e: shape.string().check(shape.minLength(1), shape.maxLength(32)),
  /** Sequence within the epoch, from 1, without gaps. A batch is sent again, unchanged, until it is acknowledged. */
  s: shape.int().check(shape.positive()),
  /** Seconds since the epoch, UTC; row times are relative to it, so they stay short. */
  t: shape.int().check(shape.nonnegative()),
  j: shape.array(shape.string().check(shape.regex(jailNamePattern))).check(shape.maxLength(256)),
};

/** What the agent sends: compact rows, because one batch per agent and second is most of the bus's traffic. */
export const FailureBatchWire = shape.object({
  ...header,
  f: shape.array(row).check(shape.maxLength(batchRowsMax)),
  b: shape.optional(shape.array(localBanRow).check(shape.maxLength(batchRowsMax))),
});
export type FailureBatchWire = shape.infer<typeof FailureBatchWire>;

/** The same with its rows unread, so that one bad row loses only itself. */
const LooseBatch = shape.object({
  ...header,
  f: shape.array(shape.unknown()).check(shape.maxLength(batchRowsMax)),
  b: shape.optional(shape.array(shape.unknown()).check(shape.maxLength(batchRowsMax))),
});

/** One kind of failure in one second: `count` hostile lines of `address` in `jail` at `atMs`, as the log dates them. */
export type Failure = Readonly<{ atMs: number; address: string; jail: string; count: number; sample?: string }>;
/** A ban the agent's own jail made: `until` is `atMs` plus the bantime, null for ever. */
export type LocalBan = Readonly<{ atMs: number; net: string; jail: string; untilMs: number | null }>;

export type FailureBatch = Readonly<{
  epoch: string;
  sequence: number;
  failures: readonly Failure[];
  localBans: readonly LocalBan[];
  /** Rows that did not follow the format: dropped and counted, the rest stands. */
  badRows: number;
}>;

/** Encodes a batch; times are cut to whole seconds, as fail2ban's are. */
export function encodeFailureBatch(batch: Omit<FailureBatch, "badRows">): string {
  const times = [...batch.failures, ...batch.localBans].map((each) => Math.floor(each.atMs / 1000));
  const t = times.reduce((least, time) => Math.min(least, time), times[0] ?? 0);
  const jails: string[] = [];
  const jailIndex = (jail: string): number => {
    const known = jails.indexOf(jail);
    return known >= 0 ? known : jails.push(jail) - 1;
  };
  const wire: FailureBatchWire = {
    v: 1,
    e: batch.epoch,
    s: batch.sequence,
    t,
    j: jails,
    f: batch.failures.map((each) => {
      const fields = [Math.floor(each.atMs / 1000) - t, each.address, jailIndex(each.jail), each.count] as const;
      return each.sample === undefined ? [...fields] : [...fields, each.sample.slice(0, sampleLengthMax)];
    }),
  };
  if (batch.localBans.length > 0) {
    wire.b = batch.localBans.map((each) => {
      const seconds = Math.floor(each.atMs / 1000);
      const bantime = each.untilMs === null ? -1 : Math.max(0, Math.ceil(each.untilMs / 1000) - seconds);
      return [seconds - t, each.net, jailIndex(each.jail), bantime];
    });
  }
  return JSON.stringify(wire);
}

/** The same rows under another number. Only for what `encodeFailureBatch` wrote. */
export function renumberFailureBatch(encoded: string, epoch: string, sequence: number): string {
  return JSON.stringify({ ...(JSON.parse(encoded) as FailureBatchWire), e: epoch, s: sequence });
}

/** By hand what `row` says: the coordinator reads a hundred thousand a second, and the schema costs five times as much. */
function readFailure(value: unknown, t: number, jails: readonly string[]): Failure | undefined {
  if (!Array.isArray(value) || value.length < 4 || value.length > 5) return undefined;
  const [seconds, address, jailIndex, count, sample]: unknown[] = value;
  if (typeof seconds !== "number" || !Number.isSafeInteger(seconds)) return undefined;
  if (typeof address !== "string" || address.length > addressLengthMax) return undefined;
  const jail = typeof jailIndex === "number" ? jails[jailIndex] : undefined;
  if (jail === undefined) return undefined;
  if (typeof count !== "number" || !Number.isInteger(count) || count < 1 || count > rowCountMax) return undefined;
  const atMs = (t + seconds) * 1000;
  if (value.length === 4) return { atMs, address, jail, count };
  if (typeof sample !== "string" || sample.length > sampleLengthMax) return undefined;
  return { atMs, address, jail, count, sample };
}

/**
 * Reads a batch from an untrusted agent. A row that breaks the format is counted and skipped; a broken envelope is an error.
 *
 * @throws Fleet2banError `invalid` when the envelope is not a batch of version 1
 */
export function decodeFailureBatch(payload: Uint8Array | string): FailureBatch {
  let value: unknown;
  try {
    value = JSON.parse(typeof payload === "string" ? payload : utf8.decode(payload));
  } catch (cause) {
    throw new Fleet2banError("invalid", "failure batch: not JSON in UTF-8", { cause });
  }
  const envelope = LooseBatch.safeParse(value);
  if (!envelope.success) {
    throw new Fleet2banError("invalid", `failure batch: ${envelope.error.message}`);
  }
  const { e: epoch, s: sequence, t, j: jails, f, b = [] } = envelope.data;
  const failures: Failure[] = [];
  const localBans: LocalBan[] = [];
  let badRows = 0;
  for (const each of f) {
    const failure = readFailure(each, t, jails);
    if (failure === undefined) badRows += 1;
    else failures.push(failure);
  }
  for (const each of b) {
    const read = localBanRow.safeParse(each);
    const jail = read.success ? jails[read.data[2]] : undefined;
    if (!read.success || jail === undefined) {
      badRows += 1;
      continue;
    }
    const [seconds, net, , bantime] = read.data;
    const atMs = (t + seconds) * 1000;
    localBans.push({ atMs, net, jail, untilMs: bantime < 0 ? null : atMs + bantime * 1000 });
  }
  return { epoch, sequence, failures, localBans, badRows };
}
