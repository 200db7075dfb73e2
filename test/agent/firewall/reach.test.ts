import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { reachPlaces } from "../../../agent/firewall/reach.ts";

test("a place is within reach when it takes a connection, and all must be", async () => {
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert(typeof address === "object" && address !== null);
  const here = `127.0.0.1:${address.port}`;
  assert.equal(await reachPlaces([here]), true);
  assert.equal(await reachPlaces([]), true);
  assert.equal(await reachPlaces([here, "127.0.0.1:no"]), false);
  server.close();
  await once(server, "close");
  assert.equal(await reachPlaces([here]), false);
});
