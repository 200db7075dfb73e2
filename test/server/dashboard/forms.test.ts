import assert from "node:assert/strict";
import { test } from "node:test";
import type { Role } from "../../../server/desk/desk.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import { aBan, tokenOf } from "./fake-desk.ts";
import { type FormFields, loggedIn, ownPage } from "./visitor.ts";

const ban: FormFields = { net: "192.0.2.1", scope: "fleet", span: "1h", reason: "test" };
const unasked = async (): Promise<never> => {
  throw new Error("the desk was asked");
};

const forgeries: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "another origin": { ...ownPage, origin: "http://evil.example" },
  "a hidden origin": { ...ownPage, origin: "null" },
  "the same host on another port": { ...ownPage, origin: "http://fleet.example:8081" },
  "a sibling site, as the browser says": { ...ownPage, "sec-fetch-site": "same-site" },
  "another site, as the browser says": { ...ownPage, "sec-fetch-site": "cross-site" },
  "no browser at all": { host: "fleet.example" },
};
for (const [name, headers] of Object.entries(forgeries)) {
  test(`a form from ${name} changes nothing, though cookie and form token are right`, async () => {
    const visitor = await loggedIn("f2b_admin", { ban: unasked });
    const response = await visitor.send("/bans", ban, headers);
    assert.equal(response.status, 403);
    assert.match(await response.text(), /was not sent from this page/);
  });
}

test("a form without the session's token changes nothing", async () => {
  const visitor = await loggedIn("f2b_admin", { ban: unasked });
  assert.equal((await visitor.send("/bans", { ...ban, formToken: "" })).status, 403);
});

test("the form token of another session is worth nothing", async () => {
  const other = await loggedIn("f2b_admin");
  const visitor = await loggedIn("f2b_admin", { ban: unasked });
  assert.equal((await visitor.send("/bans", { ...ban, formToken: await other.formToken() })).status, 403);
});

test("a form from our own page does what it says and leads to the result", async () => {
  const asked: unknown[] = [];
  const visitor = await loggedIn("f2b_operator", {
    ban: async (asker, request) => {
      asked.push([asker.name, request]);
      return { kind: "made", made: { ...aBan, net: request.net } };
    },
  });
  const response = await visitor.send("/bans", ban);
  assert.equal(response.status, 303);
  assert.equal(response.headers.get("location"), "/address?ip=192.0.2.1");
  const request = {
    net: "192.0.2.1/32",
    scope: "fleet",
    banTimeMs: 3_600_000,
    ports: null,
    reason: "test",
    dryRun: false,
  };
  assert.deepEqual(asked, [["a operator", request]]);
  assert.match(await visitor.text("/address?ip=192.0.2.1"), /role="status">Banned\./);
  assert.doesNotMatch(await visitor.text("/address?ip=192.0.2.1"), /role="status"/);
});

/** Every form, with fields that would do, and the least role that may send it. */
const forms: readonly (readonly [path: string, least: Role, fields: FormFields])[] = [
  ["/address/unban", "support", { net: "192.0.2.7", verdict: "admin", note: "" }],
  ["/unban", "support", { net: "192.0.2.7", verdict: "admin", note: "" }],
  ["/bans", "operator", ban],
  ["/address/allow", "operator", { net: "192.0.2.7", span: "", reason: "test" }],
  ["/address/never", "admin", { net: "192.0.2.7", span: "", reason: "test" }],
  ["/lists/allow", "operator", { net: "192.0.2.7", span: "", reason: "test", tenant: "" }],
  ["/lists/never", "admin", { net: "192.0.2.7", span: "", reason: "test", tenant: "" }],
  ["/lists/allow/remove", "operator", { id: "1" }],
  ["/lists/never/remove", "admin", { id: "1" }],
  ["/hosts/change", "operator", { host: "web-1", verb: "observe", reason: "test" }],
  ["/hosts/revoke", "operator", { host: "web-1", reason: "test" }],
  ["/enroll", "operator", { tenant: "acme", host: "", uses: "1", span: "1d" }],
  ["/enroll/revoke", "operator", { id: "1" }],
  ["/tenants", "admin", { name: "acme", trust: "vote" }],
  ["/tenants/change", "admin", { name: "acme", trust: "vote", quarantined: "no", reason: "test", etag: "e" }],
  ["/unban/matching", "operator", { filter: "jail=sshd", upTo: "9", verdict: "admin", note: "" }],
  ["/feeds/add", "admin", { name: "drop", source: "file:drop.txt", reason: "test" }],
  ["/feeds", "admin", { name: "drop", verb: "enforce" }],
  ["/held", "operator", { id: "1", verb: "drop", reason: "test" }],
  ["/approvals", "operator", { id: "1", verb: "reject", reason: "test" }],
  ["/policy/try", "operator", { document: "spread: null" }],
  ["/policy", "admin", { document: "spread: null", reason: "test", etag: "e" }],
  ["/policy/revert", "admin", { reason: "test", etag: "e" }],
  ["/audit/verify", "admin", {}],
  ["/tokens", "admin", { name: "x", role: "viewer", tenant: "", span: "" }],
  ["/tokens/revoke", "admin", { id: "1" }],
];
const ranked: readonly Role[] = ["viewer", "support", "operator", "admin"];
const writes = [
  "ban",
  "unban",
  "unbanNet",
  "addRule",
  "removeRule",
  "changeHost",
  "revokeHost",
  "addEnrollmentToken",
] as const;
const moreWrites = [
  "revokeEnrollmentToken",
  "addTenant",
  "changeTenant",
  ...(["decideHeld", "approve", "reject", "liftBans"] as const),
  ...(["addFeed", "changeFeed", "removeFeed", "refreshFeed"] as const),
  "tryPolicy",
  "setPolicy",
] as const;
const lastWrites = ["revertPolicy", "verifyAudit", "addApiToken", "revokeApiToken"] as const;
const all = [...writes, ...moreWrites, ...lastWrites];

for (const [path, least, fields] of forms) {
  test(`${path} is refused to every role below ${least} before the desk hears of it`, async () => {
    const refuseAll = Object.fromEntries(all.map((verb) => [verb, unasked]));
    for (const role of ranked.slice(0, ranked.indexOf(least))) {
      const visitor = await loggedIn(tokenOf(role), refuseAll);
      const response = await visitor.send(path, fields);
      assert.equal(response.status, 403, role);
      assert.match(await response.text(), new RegExp(`needs the role ${least}`));
    }
  });

  test(`${path} reaches the desk for ${least}`, async () => {
    const heard: string[] = [];
    const listen = (verb: string) => async (): Promise<never> => {
      heard.push(verb);
      throw new Fleet2banError("conflict", "heard");
    };
    const visitor = await loggedIn(tokenOf(least), Object.fromEntries(all.map((verb) => [verb, listen(verb)])));
    const response = await visitor.send(path, fields);
    assert.equal(response.status, 409);
    assert.match(await response.text(), /role="alert">heard/);
    assert.equal(heard.length, 1);
  });
}

const ofWholeFleet = [
  "/unban/matching",
  "/address/never",
  "/lists/never",
  "/tenants",
  "/tenants/change",
  "/feeds/add",
  "/feeds",
  "/held",
  "/policy/try",
  "/policy",
  "/policy/revert",
  "/audit/verify",
];
for (const [path, , fields] of forms.filter(([each]) => ofWholeFleet.includes(each))) {
  test(`${path} is refused to a tenant's own admin`, async () => {
    const visitor = await loggedIn("f2b_admin_of_acme", Object.fromEntries(all.map((verb) => [verb, unasked])));
    const response = await visitor.send(path, fields);
    assert.equal(response.status, 403);
    assert.match(await response.text(), /of the whole fleet/);
  });
}

test("what was written into a form stays there when the world refuses it", async () => {
  const visitor = await loggedIn("f2b_admin", {
    setPolicy: async () => {
      throw new Fleet2banError("invalid", "policy: spread.hosts: must be a whole number from 2 to 1000 (got 1)");
    },
  });
  const response = await visitor.send("/policy/try", { document: "spread: { hosts: 1, findtime: 1h }", etag: "p3" });
  const shown = await response.text();
  assert.equal(response.status, 400);
  assert.match(shown, /role="alert">policy: spread\.hosts: must be a whole number/);
  assert.match(shown, /<textarea[^>]*>spread: \{ hosts: 1, findtime: 1h \}<\/textarea>/);
});

test("a field that cannot be read is named, and the desk not asked", async () => {
  const visitor = await loggedIn("f2b_admin", { ban: unasked });
  const response = await visitor.send("/bans", { ...ban, net: "010.0.0.1" });
  assert.equal(response.status, 400);
  assert.match(await response.text(), /role="alert">net: &quot;010\.0\.0\.1&quot; is not an address/);
});

test("nobody's choice is made for them: an unban without a verdict is refused", async () => {
  const visitor = await loggedIn("f2b_support", { unbanNet: unasked });
  const response = await visitor.send("/address/unban", { net: "192.0.2.7", note: "x" });
  assert.equal(response.status, 400);
  assert.match(await response.text(), /say whether it was a false positive/);
});

test("an unexpected error shows nothing of itself and reaches the log", async () => {
  const reported: unknown[] = [];
  const broken = { ban: async (): Promise<never> => Promise.reject(new Error("password=secret")) };
  const visitor = await loggedIn("f2b_admin", broken, { report: (error) => reported.push(error) });
  const response = await visitor.send("/bans", ban);
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /secret/);
  assert.equal(reported.length, 1);
});

test("a form over the bound is refused", async () => {
  const visitor = await loggedIn("f2b_admin", { setPolicy: unasked });
  const response = await visitor.send("/policy/try", { document: "x".repeat(300_000), etag: "" });
  assert.equal(response.status, 413);
});
