import { type LookupAddress, lookup } from "node:dns";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { LookupFunction } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { parseAddress } from "../../shared/address.ts";
import { secondMs } from "../../shared/durations.ts";
import { messageOf } from "../../shared/errors.ts";
import { version } from "../../shared/version.ts";
import { type FeedSource, whyNoTarget } from "../domain/feed-source.ts";

/** The largest lists that are published have some megabytes. The same bound for what comes and for what it unfolds to. */
export const bytesMax = 16 * 1024 * 1024;
/** For all of it, redirects included: a body that never ends must not keep anybody waiting. */
const timeoutMs = 60 * secondMs;
const redirectsMax = 3;

/** What the publisher said of the list we have, so that it need not send it again. */
export type KnownList = Readonly<{ etag: string | null; modified: string | null }>;

export type Downloaded =
  | (Readonly<{ kind: "list"; text: string }> & KnownList)
  | (Readonly<{ kind: "unchanged" }> & KnownList)
  | Readonly<{ kind: "failed"; why: DownloadFailure; sentence: string }>;

/** `ended`: we were told to stop. */
export const downloadFailures = [
  ...(["unreachable", "status", "redirect", "type", "encoding", "too-large", "too-slow", "cut-off", "ended"] as const),
] as const;
export type DownloadFailure = (typeof downloadFailures)[number];

export type DownloadOptions = Readonly<{
  /** Where `file:NAME` is looked for. */
  folder: string;
  signal: AbortSignal;
  /** Instead of the system's authorities. */
  ca?: string | undefined;
  timeoutMs?: number | undefined;
}>;

/** What went wrong on the way, as the end of a sentence about the feed. */
class Failure extends Error {
  readonly why: DownloadFailure;
  constructor(why: DownloadFailure, sentence: string) {
    super(sentence);
    this.why = why;
  }
}

/** Gets a list, or says why there is none. Never throws for what a publisher does. */
export async function download(source: FeedSource, known: KnownList, options: DownloadOptions): Promise<Downloaded> {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? timeoutMs);
  const signal = AbortSignal.any([options.signal, timeout]);
  try {
    return source.kind === "file"
      ? await readFile(join(options.folder, source.name), known)
      : await fetchList(source.url, known, { ...options, signal });
  } catch (error) {
    const failed = (why: DownloadFailure, sentence: string) => ({ kind: "failed", why, sentence }) as const;
    if (options.signal.aborted) return failed("ended", "was not fetched: the coordinator ends");
    if (timeout.aborted)
      return failed("too-slow", "did not arrive within a minute; ask its publisher, or take a mirror");
    if (error instanceof Failure) return failed(error.why, error.message);
    if (isCutOff(error))
      return failed("cut-off", `broke off in the middle (${messageOf(error)}); it is fetched again soon`);
    return failed("unreachable", `cannot be fetched: ${messageOf(error)}; check its source and the way there`);
  }
}

async function fetchList(first: URL, known: KnownList, options: DownloadOptions): Promise<Downloaded> {
  let url = first;
  for (let redirects = 0; redirects <= redirectsMax; redirects += 1) {
    const response = await ask(url, known, options);
    const { statusCode: status = 0, headers } = response;
    if (status >= 300 && status < 400 && status !== 304) {
      response.destroy();
      url = redirected(url, headers.location);
      continue;
    }
    const said = { etag: headers.etag ?? null, modified: headers["last-modified"] ?? null };
    if (status === 304) {
      response.destroy();
      return { kind: "unchanged", etag: said.etag ?? known.etag, modified: said.modified ?? known.modified };
    }
    try {
      return { kind: "list", text: await textOf(response, options.signal), ...said };
    } finally {
      response.destroy();
    }
  }
  throw new Failure("redirect", `leads on more than ${redirectsMax} times; write where it ends as its source`);
}

async function ask(url: URL, { etag, modified }: KnownList, { signal, ca }: DownloadOptions): Promise<IncomingMessage> {
  const answered = Promise.withResolvers<IncomingMessage>();
  const headers = {
    accept: "text/plain, */*;q=0.5",
    "accept-encoding": "gzip",
    "user-agent": `fleet2ban/${version}`,
    ...(etag === null ? {} : { "if-none-match": etag }),
    ...(modified === null ? {} : { "if-modified-since": modified }),
  };
  // A connection of its own: nothing is left open between two downloads.
  const how = { headers, signal, agent: false, lookup: lookUp(url.hostname) } as const;
  const request =
    url.protocol === "https:"
      ? requestHttps(url, { ...how, ...(ca === undefined ? {} : { ca }) })
      : requestHttp(url, how);
  request.once("response", answered.resolve);
  request.once("error", answered.reject);
  request.end();
  return await answered.promise;
}

/** A name may lead anywhere, and elsewhere the next time: the address that is looked at is the one that is connected to. */
function lookUp(hostname: string): LookupFunction {
  return (name, options, callback) => {
    lookup(name, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) return callback(error, []);
      for (const { address } of found) {
        const read = parseAddress(address);
        const why = read === undefined ? "leads nowhere" : whyNoTarget(read, hostname);
        if (why !== undefined) return callback(new Failure("unreachable", `${why} (${address})`), []);
      }
      const [one] = found;
      if (options.all === true || one === undefined) return callback(null, found);
      return callback(null, one.address, one.family);
    });
  };
}

/** Only to another place of the same publisher: a list that was sold leads to whoever bought it. */
function redirected(from: URL, location: string | undefined): URL {
  if (location === undefined || !URL.canParse(location, from.href)) {
    throw new Failure("redirect", "leads on to nowhere; ask its publisher");
  }
  const to = new URL(location, from);
  if (to.origin === from.origin) return to;
  throw new Failure("redirect", `leads on to ${to.origin}; if you trust that, write it as its source`);
}

/** What lists are sent as. Publishers of raw files call them anything; web pages are called web pages. */
const typePattern =
  /^(?:text\/(?:plain|csv|x-[\w.+-]+)|(?:application|binary)\/octet-stream|application\/(?:x-ndjson|jsonl|json|x-jsonlines))(?:;|$)/i;

async function textOf(response: IncomingMessage, signal: AbortSignal): Promise<string> {
  const { statusCode, headers } = response;
  if (statusCode !== 200) throw new Failure("status", `was answered with status ${statusCode}; ask its publisher`);
  const type = headers["content-type"]?.trim();
  if (type !== undefined && !typePattern.test(type)) {
    throw new Failure("type", `is sent as ${type.slice(0, 60)}, which is no list; check its source`);
  }
  const encoding = (headers["content-encoding"] ?? "identity").toLowerCase();
  if (encoding !== "identity" && encoding !== "gzip") {
    throw new Failure("encoding", `is packed as ${encoding.slice(0, 40)}, which we did not ask for; ask its publisher`);
  }
  const declared = Number(headers["content-length"] ?? 0);
  if (declared > bytesMax) throw tooLarge();
  const chunks: Buffer[] = [];
  const collect = async (source: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of bounded(source)) chunks.push(chunk);
  };
  if (encoding === "gzip") await pipeline(response, bounded, createGunzip(), collect, { signal });
  else await pipeline(response, collect, { signal });
  const text = decode(Buffer.concat(chunks));
  // Without a length nobody can tell a whole list from the beginning of one, and half an address is another address.
  const isFramed = headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
  if (!isFramed && encoding === "identity" && !text.endsWith("\n")) {
    throw new Failure("cut-off", "ends in the middle of a line, without saying how long it is; ask its publisher");
  }
  return text;
}

async function* bounded(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw tooLarge();
    yield chunk;
  }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Failure("encoding", "is no UTF-8 text; check its source");
  }
}

function tooLarge(): Failure {
  return new Failure("too-large", `has more than ${bytesMax / 1024 / 1024} MB; take a smaller list`);
}

async function readFile(path: string, known: KnownList): Promise<Downloaded> {
  // A pipe in its place must not be waited for.
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const found = await file.stat();
  if (!found.isFile()) throw new Failure("type", `cannot be read: ${path} is no file`);
  if (found.size > bytesMax) throw tooLarge();
  const etag = `${found.mtimeMs}-${found.size}`;
  if (etag === known.etag) return { kind: "unchanged", etag, modified: null };
  return { kind: "list", text: decode(await file.readFile()), etag, modified: null };
}

const cutOffCodes = new Set([
  "ECONNRESET",
  "EPIPE",
  "ERR_STREAM_PREMATURE_CLOSE",
  "Z_BUF_ERROR",
  "Z_DATA_ERROR",
  "HPE_INVALID_EOF_STATE",
]);

function isCutOff(error: unknown): boolean {
  return error instanceof Error && "code" in error && cutOffCodes.has(String(error.code));
}
