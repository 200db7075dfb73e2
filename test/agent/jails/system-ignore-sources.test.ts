import assert from "node:assert/strict";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { systemIgnoreSources } from "../../../agent/jails/system-ignore-sources.ts";

const directory = mkdtempSync(join(tmpdir(), "fleet2ban-ignore-"));
after(() => rmSync(directory, { recursive: true }));
const path = join(directory, "list");

test("this host has the loopback addresses and its name", () => {
  assert.ok(systemIgnoreSources.selfAddresses().includes("127.0.0.1"));
  assert.ok(systemIgnoreSources.selfNames().includes("localhost"));
});

test("a file's version follows its content; one that is missing, a directory or too large has none", () => {
  writeFileSync(path, "192.0.2.1");
  const first = systemIgnoreSources.fileVersion(path);
  assert.equal(systemIgnoreSources.readFile(path), "192.0.2.1");
  writeFileSync(path, "192.0.2.1 192.0.2.2");
  assert.notEqual(systemIgnoreSources.fileVersion(path), first);
  truncateSync(path, 4_000_001);
  for (const each of [path, directory, join(directory, "none")]) {
    assert.equal(systemIgnoreSources.fileVersion(each), undefined, each);
  }
  assert.equal(systemIgnoreSources.readFile(join(directory, "none")), undefined);
});

test("localhost resolves", async () => {
  const addresses = await systemIgnoreSources.resolve("localhost");
  assert.ok(addresses.some((address) => address === "127.0.0.1" || address === "::1"));
});
