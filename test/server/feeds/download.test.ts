import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { loadBusCertificate } from "../../../server/bus/certificate.ts";
import { parseFeedSource } from "../../../server/domain/feed-source.ts";
import { type Downloaded, download, downloadFailures, type KnownList } from "../../../server/feeds/download.ts";
import { badAnswers, goodList, openPublisher, plain } from "./publisher.ts";

const unknown: KnownList = { etag: null, modified: null };
const get = (
  source: string,
  more: Readonly<{ known?: KnownList; folder?: string; ca?: string; timeoutMs?: number }> = {},
) =>
  download(parseFeedSource(source), more.known ?? unknown, {
    ...{ folder: more.folder ?? "/nowhere", signal: new AbortController().signal, ca: more.ca },
    timeoutMs: more.timeoutMs ?? 60_000,
  });
const whyOf = (downloaded: Downloaded) => (downloaded.kind === "failed" ? downloaded.why : downloaded.kind);
const isOnTheWay = (why: string) => downloadFailures.some((each) => each === why);

for (const [what, [why, answer]] of Object.entries(badAnswers).filter(([, [each]]) => isOnTheWay(each))) {
  test(`nothing is taken of ${what}: ${why}`, async () => {
    await using publisher = await openPublisher(answer);
    const downloaded = await get(publisher.url, why === "too-slow" ? { timeoutMs: 500 } : {});
    assert.equal(whyOf(downloaded), why, JSON.stringify(downloaded).slice(0, 300));
  });
}

test("a list comes as it is or packed, by whatever name publishers give it", async () => {
  await using publisher = await openPublisher(plain(goodList));
  for (const type of [
    "text/plain; charset=utf-8",
    "application/octet-stream",
    "text/x-netset",
    "application/x-ndjson",
  ]) {
    publisher.answer = plain(goodList, type);
    assert.deepEqual(await get(publisher.url), { kind: "list", text: goodList, etag: null, modified: null }, type);
  }
  publisher.answer = (response) => void response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(goodList));
  assert.equal(whyOf(await get(publisher.url)), "list");
});

test("a publisher is told which list we have, and need not send it again", async () => {
  await using publisher = await openPublisher((response, { headers }) => {
    const said = { etag: `"7"`, "last-modified": "Fri, 27 Nov 2026 08:00:00 GMT" };
    const isKnown = headers["if-none-match"] === said.etag && headers["if-modified-since"] === said["last-modified"];
    response.writeHead(isKnown ? 304 : 200, said).end(isKnown ? "" : goodList);
  });
  const first = await get(publisher.url);
  assert.equal(first.kind, "list");
  const { etag, modified } = first as KnownList;
  assert.deepEqual(await get(publisher.url, { known: { etag, modified } }), { kind: "unchanged", etag, modified });
});

test("a list may move within its publisher", async () => {
  await using publisher = await openPublisher((response, { url }) => {
    if (url === "/list.txt") response.writeHead(301, { location: "/new/list.txt" }).end();
    else response.end(goodList);
  });
  assert.equal(whyOf(await get(publisher.url)), "list");
});

test("an https publisher must be who it says it is", async () => {
  const folder = mkdtempSync(join(tmpdir(), "f2b-feeds-"));
  try {
    const { ca, certFile, keyFile } = await loadBusCertificate(folder, ["127.0.0.1"], Date.now());
    const tls = { key: readFileSync(keyFile, "utf8"), cert: readFileSync(certFile, "utf8") };
    await using publisher = await openPublisher(plain(goodList), tls);
    assert.equal(whyOf(await get(publisher.url, { ca })), "list");
    assert.equal(whyOf(await get(publisher.url)), "unreachable");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("who cannot reach the internet puts a file into the folder; a pipe or a missing one is a problem with a name", async () => {
  const folder = mkdtempSync(join(tmpdir(), "f2b-feeds-"));
  try {
    writeFileSync(join(folder, "drop.txt"), goodList);
    const first = await get("file:drop.txt", { folder });
    assert.equal(first.kind === "list" && first.text, goodList);
    const { etag, modified } = first as KnownList;
    assert.equal(whyOf(await get("file:drop.txt", { folder, known: { etag, modified } })), "unchanged");
    mkdirSync(join(folder, "folder"));
    assert.equal(whyOf(await get("file:folder", { folder })), "type");
    symlinkSync("/dev/zero", join(folder, "zero"));
    assert.equal(whyOf(await get("file:zero", { folder })), "type");
    const missing = await get("file:missing.txt", { folder });
    assert.match(missing.kind === "failed" ? missing.sentence : "", /ENOENT.*missing\.txt/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a coordinator that ends does not wait for a publisher", async () => {
  await using publisher = await openPublisher(() => ending.abort());
  const ending = new AbortController();
  const options = { folder: "", signal: ending.signal };
  assert.equal(whyOf(await download(parseFeedSource(publisher.url), unknown, options)), "ended");
});

for (const source of [
  ...["http://lists.example.org/drop.txt", "ftp://lists.example.org/drop.txt", "list.txt", "", "https://"],
  ...["https://user:secret@lists.example.org/", "file:/etc/shadow", "file:../server.yaml", "file:", "file:.hidden"],
  ...[
    "https://169.254.169.254/latest/",
    "https://[fe80::1]/",
    "https://0.0.0.0/",
    "https://2852039166/",
    "https://[fd00:ec2::254]/",
  ],
  `https://lists.example.org/${"x".repeat(500)}`,
]) {
  test(`"${source.slice(0, 50)}" is no place to get a list from`, () => {
    assert.throws(() => parseFeedSource(source), /^Fleet2banError: source: /);
  });
}
