import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";

/** What a publisher does with one request. */
export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

/** Somebody who publishes lists, on a real socket; what it says may change. */
export type Publisher = AsyncDisposable & {
  readonly url: string;
  answer: Answer;
  /** Requests so far. */
  asked: IncomingMessage[];
};

export async function openPublisher(answer: Answer, tls?: Readonly<{ key: string; cert: string }>): Promise<Publisher> {
  const listener: RequestListener = (request, response) => {
    publisher.asked.push(request);
    publisher.answer(response, request);
  };
  const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const publisher: Publisher = {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}/list.txt`,
    answer,
    asked: [],
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return publisher;
}

export const addresses = (count: number, from = 0): readonly string[] =>
  Array.from({ length: count }, (_, index) => `198.51.${(from + index) >> 8}.${(from + index) & 255}`);

export const goodList = addresses(200).join("\n").concat("\n");

export const plain =
  (text: string, type = "text/plain"): Answer =>
  (response) =>
    void response.writeHead(200, { "content-type": type }).end(text);

const megabyte = Buffer.alloc(1024 * 1024, "198.51.100.1\n");
const packed = (body: Buffer, encoding = "gzip"): Answer => {
  return (response) =>
    void response.writeHead(200, { "content-type": "text/plain", "content-encoding": encoding }).end(body);
};
/** Writes again and again, as fast as it is read or every so often. */
const endless =
  (chunk: Buffer | string, everyMs?: number): Answer =>
  (response) => {
    response.writeHead(200, { "content-type": "text/plain" });
    const timer = everyMs === undefined ? undefined : setInterval(() => response.write(chunk), everyMs);
    const pump = (): void => {
      while (!response.destroyed && response.write(chunk)) {
        // As much as it takes.
      }
    };
    if (timer === undefined) {
      response.on("drain", pump);
      pump();
    }
    response.on("close", () => clearInterval(timer));
  };
/** Past node's own head and framing. */
const raw =
  (head: string, body: string): Answer =>
  (response) =>
    void response.socket?.end(`HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n${head}\r\n${body}`);
const leadsTo =
  (location: string): Answer =>
  (response) =>
    void response.writeHead(302, { location }).end();

/** What publishers did to others, and what an attacker on the way would do; with why nothing is taken of it. */
export const badAnswers: Readonly<Record<string, readonly [why: string, answer: Answer]>> = {
  "an advertisement instead of the list": ["type", plain("<html>Buy GeoIP now</html>", "text/html; charset=utf-8")],
  "an advertisement that is called text": ["grammar", plain("<!DOCTYPE html>\n<p>198.51.100.1</p>\n")],
  "a page that refuses us": ["status", (response) => void response.writeHead(403).end("<h1>403</h1>")],
  "a list that has moved away": ["status", (response) => void response.writeHead(404).end(goodList)],
  "an error as JSON": ["grammar", plain(`{"error":"rate limited"}\n`, "application/json")],
  "an empty file": ["empty", plain("")],
  "comments alone": ["empty", plain("# moved\n")],
  "a list sold to another host": ["redirect", leadsTo("https://lists.example.org/list.txt")],
  "a list that leads on to itself": ["redirect", leadsTo("/list.txt")],
  "a way into this machine": ["redirect", leadsTo("http://169.254.169.254/latest/meta-data/")],
  "a gzip bomb": ["too-large", packed(gzipSync(Buffer.concat(Array.from({ length: 64 }, () => megabyte))))],
  "a list without end": ["too-large", endless(megabyte)],
  "a list that says it is huge": ["too-large", raw("content-length: 99999999999\r\n", goodList)],
  "a list that drips for ever": ["too-slow", endless("198.51.100.1\n", 50)],
  "no answer at all": ["too-slow", () => undefined],
  "half of the list it announced": ["cut-off", raw(`content-length: ${goodList.length * 2}\r\n`, goodList)],
  "half of the list in pieces": ["cut-off", raw("transfer-encoding: chunked\r\n", `10\r\n198.51.100.1\n198`)],
  "half of a packed list": ["cut-off", packed(gzipSync(goodList).subarray(0, 200))],
  "a list that ends within an address": ["cut-off", raw("connection: close\r\n", "198.51.100.1\n198.51.100.1")],
  "a list packed as nobody asked": ["encoding", packed(Buffer.from(goodList), "br")],
  "a list that is not packed but says so": ["cut-off", packed(Buffer.from(goodList))],
  "bytes that are no text": [
    "encoding",
    (response) => void response.writeHead(200).end(Buffer.from([0xff, 0xfe, 0x31, 0x00])),
  ],
  everybody: ["everybody", plain(`${goodList}0.0.0.0/0\n`)],
  "our own networks": ["protected", plain(Array.from({ length: 200 }, (_, index) => `10.0.${index}.0/24`).join("\n"))],
  "half of it gone": ["changed", plain(addresses(100).join("\n"))],
  "half as much more": ["changed", plain(addresses(300).join("\n"))],
};
