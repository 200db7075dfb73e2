import assert from "node:assert/strict";
import { test } from "node:test";
import { setPolicy } from "../../../server/ingest/admin-acts.ts";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import { exceptFromFeeds, replaceEntries } from "../../../server/store/feed-entries.ts";
import { insertFeed, noteGood } from "../../../server/store/feeds.ts";
import { dayMs } from "../../../shared/durations.ts";
import { attacker, batchOf, failuresOf, startMs } from "../ingest/arena.ts";
import { misfits, referred } from "./json-schema.ts";
import { type ApiArena, openApi } from "./open-api.ts";
import { documentOf, type OpenApi, type Operation, operationsOf, type Schema } from "./operations.ts";

/** A fleet in which everything the document's examples speak of is there. */
async function openExamples(): Promise<ApiArena> {
  const api = await openApi({ default: ["h1"], acme: ["web-1"] });
  await setPolicy(api.arena.writer, { by: "anna", note: null }, "limits: { fleetBansPerMinute: 0 }");
  await commitBatches(api.arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 4, startMs) })]);
  await api.ok("POST", "/bans", { body: { net: attacker, bantime: "1h", reason: "x", scope: "tenant:acme" } });
  await api.ok("POST", "/bans", { body: { net: "192.0.2.9", bantime: "1h", reason: "x", scope: "tenant:acme" } });
  await api.ok("POST", "/allow", { body: { net: "203.0.113.0/28", reason: "x" } });
  await api.ok("POST", "/never", { body: { net: "203.0.113.16/28", reason: "x" } });
  await api.ok("POST", "/enrollment-tokens", { body: {} });
  await api.ok("POST", "/bans", { body: { net: "203.0.113.200", bantime: "1h", reason: "x" } });
  const wide = { net: "198.18.0.0/15", bantime: "1h", reason: "x" };
  await api.ok("POST", "/bans", { body: wide, as: "operator@fleet" });
  await addFeedOf(api);
  return api;
}

async function addFeedOf({ arena: { store } }: ApiArena): Promise<void> {
  const feed = { name: "drop", source: "file:drop.txt", mode: "observe", note: "x", entriesMax: 10 } as const;
  await insertFeed(store, { ...feed, everyMs: dayMs, ttlMs: 7 * dayMs, createdMs: startMs, createdBy: "anna" });
  await replaceEntries(store, "drop", ["192.0.2.1/32"], startMs);
  const report = { listed: 2, badLines: 0, leftOut: { never: 1 }, examples: { never: ["203.0.113.16"] }, guard: "" };
  await noteGood(store, "drop", { nowMs: startMs, etag: null, modified: null, report, isChanged: true });
  const lifted = { kind: "unban", id: 0, atMs: startMs, net: "192.0.2.1/32", scope: "fleet", reason: "admin" } as const;
  await exceptFromFeeds(store, [{ ...lifted, feed: "drop" }], null, startMs);
}

/** The example's number is the right one for most. */
const numbers: Readonly<Record<string, string>> = { "DELETE /never/{id}": "2", "DELETE /tokens/{id}": "1" };

test("the document says what it is in the words of OpenAPI 3.1, and every reference in it leads somewhere", async () => {
  await using api = await openApi();
  const document = await documentOf(api);
  for (const [, reference] of JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g))
    referred(document, reference ?? "");
  const names = new Set<string>();
  for (const { name, operation } of await operationsOf(api)) {
    assert.ok(!names.has(name), `${name} is there twice`);
    names.add(name);
    const inPath = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
    const declared = operation.parameters.filter((each) => each.in === "path").map((each) => each.name);
    assert.deepEqual(declared.toSorted(), inPath.toSorted(), name);
    for (const status of ["400", "401", "403", "404", "429", "503"]) assert.ok(status in operation.responses, name);
    assert.ok(
      Object.keys(operation.responses).some((status) => /^2/.test(status)),
      name,
    );
  }
});

test("every example is of its own schema", async () => {
  await using api = await openApi();
  const document = await documentOf(api);
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    if (schema.example !== undefined) assert.deepEqual(misfits(document, schema, schema.example), [], name);
  }
});

test("every read does what its example says, and answers as the document does", async () => {
  await using api = await openExamples();
  for (const { name, operation } of await operationsOf(api)) {
    if (name.startsWith("GET ") && name !== "GET /events") await tryExamples(api, name, operation);
  }
});

test("every write does what its example says, and answers as the document does", async (context) => {
  const operations = await withApi((api) => operationsOf(api));
  for (const { name, operation } of operations) {
    if (name.startsWith("GET ")) continue;
    await context.test(name, async () => {
      await using api = await openExamples();
      await tryExamples(api, name, operation);
    });
  }
});

async function tryExamples(api: ApiArena, name: string, operation: Operation): Promise<void> {
  const document = await documentOf(api);
  for (const [type, body] of bodiesOf(document, operation)) {
    const response = await api.call(...requestOf(name, operation), {
      ...(body === undefined ? {} : { body, headers: { "content-type": type } }),
    });
    const text = await response.text();
    assert.ok(response.ok, `${name} ${type}: ${response.status} ${text}`);
    const answer = operation.responses[String(response.status)];
    assert.ok(answer !== undefined, `${name}: ${response.status} is not in the document`);
    const schema = answer.content?.["application/json"]?.schema;
    if (schema !== undefined) assert.deepEqual(misfits(document, schema, JSON.parse(text)), [], name);
  }
}

test("a problem is answered as the document says", async () => {
  await using api = await openApi();
  const document = await documentOf(api);
  const response = await api.call("GET", "/bans/999");
  assert.deepEqual(misfits(document, referred(document, "#/components/schemas/Problem"), await response.json()), []);
});

test("the reference page is whole, of its own, and without a script", async () => {
  await using api = await openApi();
  const response = await api.app.request("/api/v1/docs");
  const page = await response.text();
  for (const { name } of await operationsOf(api)) {
    const [method, path] = name.split(" ");
    assert.ok(page.includes(`${method} /api/v1${path}`), name);
  }
  assert.doesNotMatch(page, /<script|https?:\/\/|style=/);
  assert.match(response.headers.get("content-security-policy") ?? "", /^default-src 'none'; style-src 'self'/);
  const style = await api.app.request("/api/v1/docs/style.css");
  assert.deepEqual([style.status, style.headers.get("content-type")], [200, "text/css; charset=utf-8"]);
});

async function withApi<T>(work: (api: ApiArena) => Promise<T>): Promise<T> {
  await using api = await openApi();
  return await work(api);
}

/** Path and query with every example in them. */
function requestOf(name: string, { parameters }: Operation): [string, string] {
  const [method = "", template = ""] = name.split(" ");
  const query = new URLSearchParams();
  let path = template;
  for (const { in: place, name: parameter, schema } of parameters) {
    const example = parameter === "id" ? (numbers[name] ?? schema.example) : schema.example;
    if (place === "path") path = path.replace(`{${parameter}}`, String(example));
    else if (place === "query" && example !== undefined) query.set(parameter, String(example));
  }
  return [method, `${path}?${query}`];
}

/** By content type; one undefined body when the operation has none. */
function bodiesOf(document: OpenApi, { requestBody }: Operation): (readonly [string, unknown])[] {
  if (requestBody === undefined) return [["", undefined]];
  return Object.entries(requestBody.content).map(([type, { schema }]) => {
    const whole: Schema = typeof schema.$ref === "string" ? referred(document, schema.$ref) : schema;
    assert.ok(whole.example !== undefined, `${JSON.stringify(schema)} has no example`);
    return [type, whole.example];
  });
}
