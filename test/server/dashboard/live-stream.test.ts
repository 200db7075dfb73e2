import assert from "node:assert/strict";
import { test } from "node:test";
import type { Desk } from "../../../server/desk/desk.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import { waitFor } from "../../support/wait-for.ts";
import { loggedIn, newVisitor } from "./visitor.ts";

type Listener = Parameters<Desk["watch"]>[1];
const event = { kind: "unban", atMs: 0, net: "192.0.2.1/32", scope: "fleet", reason: "admin" } as const;

test("a page hears that something happened, and not what", async () => {
  const listeners = new Set<Listener>();
  const visitor = await loggedIn("f2b_viewer", {
    watch: (_asker, listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  });
  const response = await visitor.get("/live");
  assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
  const reader = response.body?.getReader();
  assert.ok(reader !== undefined);
  for (const listener of listeners) listener(event);
  const { value } = await reader.read();
  const said = new TextDecoder().decode(value);
  assert.match(said, /^event: changed\n/);
  assert.doesNotMatch(said, /192\.0\.2\.1/);
  await reader.cancel();
  await waitFor(() => listeners.size === 0, "the desk to be told that nobody listens any more");
});

test("nobody listens without a login, and browsers are told not to come back", async () => {
  const watch = (): never => assert.fail("the desk was asked");
  assert.equal((await newVisitor({ watch }).get("/live")).status, 204);
});

test("where there is nothing to hear, pages look by themselves", async () => {
  const visitor = await loggedIn("f2b_viewer", {
    watch: () => {
      throw new Fleet2banError("unavailable", "there are no live events here");
    },
  });
  assert.equal((await visitor.get("/live")).status, 204);
});
