import assert from "node:assert/strict";
import { test } from "node:test";
import { createIgnoreList, type IgnoreSettings, type IgnoreSources } from "../../../agent/jails/ignore-list.ts";
import { failedAt } from "./jail-support.ts";

const settingsOf = (changes: Partial<IgnoreSettings>): IgnoreSettings => ({
  ignoreSelf: false,
  ignoreIp: [],
  ignoreCommand: null,
  ignoreCache: null,
  ...changes,
});
const emptyWorld: IgnoreSources = {
  selfAddresses: () => [],
  selfNames: () => [],
  fileVersion: () => undefined,
  readFile: () => "",
  resolve: async () => [],
};
const listOf = (changes: Partial<IgnoreSettings>, world: Partial<IgnoreSources> = {}) =>
  createIgnoreList(settingsOf(changes), { ...emptyWorld, ...world });
const verdictOn = (list: ReturnType<typeof listOf>, id: string, nowMs = 0): string => {
  const verdict = list.check(failedAt(0, id), nowMs);
  return verdict.kind === "ignored" ? verdict.by : verdict.kind;
};

test("spares addresses, networks by length and by mask, of both families", () => {
  const list = listOf({
    ignoreIp: ["192.0.2.7", "198.51.100.0/25", "203.0.113.0/255.255.255.240", "2001:db8:1::/48", "[2001:db8:2::1]"],
  });
  const cases: [string, string][] = [
    ["192.0.2.7", "ip"],
    ["192.0.2.8", "not-ignored"],
    ["198.51.100.127", "ip"],
    ["198.51.100.128", "not-ignored"],
    ["203.0.113.15", "ip"],
    ["203.0.113.16", "not-ignored"],
    ["2001:db8:1:ffff::1", "ip"],
    ["2001:db8:2::1", "ip"],
    ["2001:db8:2::2", "not-ignored"],
    ["198.51.100.0/26", "ip"],
    ["198.51.100.0/24", "not-ignored"],
    ["root", "not-ignored"],
  ];
  for (const [id, expected] of cases) assert.equal(verdictOn(list, id), expected, id);
});

test("spares an id that is no address, when the address behind it is spared", () => {
  const list = listOf({ ignoreIp: ["192.0.2.7"] });
  const found = { ...failedAt(0, "root"), ip: "192.0.2.7" };
  assert.deepEqual(list.check(found, 0), { kind: "ignored", by: "ip" });
});

test("spares this host first, if asked to", () => {
  const world = { selfAddresses: () => ["192.0.2.1", "2001:db8::1"] };
  assert.equal(
    verdictOn(listOf({ ignoreSelf: true, ignoreIp: ["192.0.2.0/24"] }, world), "192.0.2.1"),
    "ignoreself rule",
  );
  assert.equal(verdictOn(listOf({ ignoreSelf: true }, world), "2001:db8::1"), "ignoreself rule");
  assert.equal(verdictOn(listOf({}, world), "192.0.2.1"), "not-ignored");
});

test("spares what this host's names resolve to, as itself", async () => {
  const world = { selfNames: () => ["vps.example"], resolve: async () => ["192.0.2.44"] };
  const list = listOf({ ignoreSelf: true }, world);
  await list.refreshNames(0);
  assert.equal(verdictOn(list, "192.0.2.44"), "ignoreself rule");
  const indifferent = listOf({ ignoreSelf: false }, world);
  await indifferent.refreshNames(0);
  assert.equal(verdictOn(indifferent, "192.0.2.44"), "not-ignored");
});

test("reads a file list again when it changed, and looks at most once a second", () => {
  const file = { version: "1", text: "192.0.2.1, 192.0.2.2 # staff\n; 192.0.2.3\n198.51.100.0/24", looks: 0 };
  const list = listOf(
    { ignoreIp: ["file:/etc/staff"] },
    {
      fileVersion: () => {
        file.looks += 1;
        return file.version;
      },
      readFile: () => file.text,
    },
  );
  for (const id of ["192.0.2.1", "192.0.2.2", "198.51.100.9"]) assert.equal(verdictOn(list, id), "file", id);
  assert.equal(verdictOn(list, "192.0.2.3"), "not-ignored");
  file.version = "2";
  file.text = "192.0.2.3";
  assert.equal(verdictOn(list, "192.0.2.3", 999), "not-ignored");
  assert.equal(file.looks, 1);
  assert.equal(verdictOn(list, "192.0.2.3", 1000), "file");
  assert.equal(verdictOn(list, "192.0.2.1", 1000), "not-ignored");
});

test("a file list that is gone keeps sparing whom it named", () => {
  let version: string | undefined = "1";
  const list = listOf({ ignoreIp: ["file:/x"] }, { fileVersion: () => version, readFile: () => "192.0.2.1" });
  assert.equal(verdictOn(list, "192.0.2.1"), "file");
  version = undefined;
  assert.equal(verdictOn(list, "192.0.2.1", 5000), "file");
});

test("names are resolved every five minutes, and keep their last answer when the name server fails", async () => {
  let answer = async (): Promise<readonly string[]> => ["192.0.2.1", "2001:db8::1"];
  let asked = 0;
  const list = listOf(
    { ignoreIp: ["office.example"] },
    {
      resolve: (name) => {
        assert.equal(name, "office.example");
        asked += 1;
        return answer();
      },
    },
  );
  assert.equal(verdictOn(list, "192.0.2.1"), "not-ignored");
  await list.refreshNames(0);
  assert.equal(verdictOn(list, "192.0.2.1"), "dns");
  assert.equal(verdictOn(list, "2001:db8::1"), "dns");
  await list.refreshNames(299_999);
  assert.equal(asked, 1);
  answer = () => Promise.reject(new Error("timeout"));
  await list.refreshNames(300_000);
  assert.equal(asked, 2);
  assert.equal(verdictOn(list, "192.0.2.1"), "dns");
  answer = async () => ["192.0.2.9"];
  await list.refreshNames(600_000);
  assert.equal(verdictOn(list, "192.0.2.1"), "not-ignored");
  assert.equal(verdictOn(list, "192.0.2.9"), "dns");
});

test("a command is asked last, and its answer is cached by the cache's key", () => {
  const list = listOf({
    ignoreIp: ["192.0.2.7"],
    ignoreCommand: "/bin/spare <ip>",
    ignoreCache: { key: "<F-USER>@<ip>", countMax: 2, timeMs: 1000 },
  });
  assert.equal(verdictOn(list, "192.0.2.7"), "ip");
  const found = { ...failedAt(0), user: "root" };
  assert.deepEqual(list.check(found, 0), { kind: "ask", command: "/bin/spare <ip>" });
  list.remember(found, true, 0);
  assert.deepEqual(list.check(found, 999), { kind: "ignored", by: "cache" });
  assert.equal(list.check({ ...found, user: "admin" }, 999).kind, "ask");
  assert.equal(list.check(found, 1000).kind, "ask");
});

test("the cache holds as many answers as it may, the oldest gives way", () => {
  const list = listOf({ ignoreCommand: "x", ignoreCache: { key: "<ip>", countMax: 2, timeMs: 1000 } });
  for (const id of ["192.0.2.1", "192.0.2.2", "192.0.2.3"]) list.remember(failedAt(0, id), false, 0);
  assert.equal(verdictOn(list, "192.0.2.1"), "ask");
  assert.equal(verdictOn(list, "192.0.2.3"), "not-ignored");
});
