import assert from "node:assert/strict";
import { test } from "node:test";
import { hourMs } from "../../../shared/durations.ts";
import { loggedIn, newVisitor, ownPage } from "./visitor.ts";

const front = (html: string) => html.includes("<h1>Log in</h1>");

test("a login by token opens a session that scripts cannot read and other sites do not send", async () => {
  const response = await newVisitor().logIn("f2b_viewer");
  assert.equal(response.status, 303);
  const cookie = response.headers.get("set-cookie") ?? "";
  assert.match(cookie, /^f2b_session=[\w-]{43}; /);
  assert.match(cookie, /HttpOnly/);
  assert.match(cookie, /SameSite=Strict/);
});

test("the session's cookie is for TLS only when the page came over TLS", async () => {
  const direct = newVisitor();
  assert.doesNotMatch((await direct.logIn("f2b_viewer")).headers.get("set-cookie") ?? "", /Secure/);
});

test("a token nobody knows opens nothing and says so", async () => {
  const response = await newVisitor().logIn("f2b_nobody");
  assert.equal(response.status, 401);
  assert.match(await response.text(), /unknown, expired or revoked/);
  assert.equal(response.headers.get("set-cookie"), null);
});

test("a login sent by another site is refused, whatever the token", async () => {
  const visitor = newVisitor();
  const response = await visitor.send(
    "/login",
    { token: "f2b_admin", formToken: "" },
    { host: "fleet.example", origin: "http://evil.example" },
  );
  assert.equal(response.status, 403);
  assert.equal(response.headers.get("set-cookie"), null);
});

for (const to of ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]) {
  test(`a login never leads to ${to}`, async () => {
    const response = await newVisitor().send("/login", { token: "f2b_viewer", to, formToken: "" });
    assert.equal(response.headers.get("location"), "/");
  });
}

test("after the login one sees the page one came for", async () => {
  const visitor = newVisitor();
  const asked = await visitor.get("/address?ip=192.0.2.7");
  assert.equal(asked.status, 401);
  assert.match(await asked.text(), /name="to" value="\/address\?ip=192\.0\.2\.7"/);
  const response = await visitor.send("/login", { token: "f2b_viewer", to: "/address?ip=192.0.2.7", formToken: "" });
  assert.equal(response.headers.get("location"), "/address?ip=192.0.2.7");
});

test("without a login no page shows anything", async () => {
  const visitor = newVisitor();
  for (const path of [
    "/",
    "/bans",
    "/hosts",
    "/tenants",
    "/lists",
    "/feeds",
    "/held",
    "/approvals",
    "/unban/matching",
    "/policy",
    "/audit",
    "/tokens",
    "/enroll",
  ]) {
    assert.ok(front(await visitor.text(path)), path);
  }
});

test("a part that updates itself sends a visitor without a session to the login", async () => {
  const response = await newVisitor().get("/", { "hx-request": "true" });
  assert.equal(response.status, 401);
  assert.equal(response.headers.get("hx-refresh"), "true");
});

test("logging out ends the session on the server, not only in the browser", async () => {
  const visitor = await loggedIn("f2b_viewer");
  assert.ok(!front(await visitor.text("/")));
  await visitor.send("/logout", {});
  assert.ok(front(await visitor.text("/")));
});

test("another site cannot log anybody out", async () => {
  const visitor = await loggedIn("f2b_viewer");
  await visitor.send("/logout", {}, { ...ownPage, origin: "http://evil.example" });
  assert.ok(!front(await visitor.text("/")));
});

test("a session nobody uses ends after two hours, though its page updates itself", async () => {
  const visitor = await loggedIn("f2b_viewer");
  visitor.pass(hourMs);
  assert.equal((await visitor.get("/", { "hx-request": "true" })).status, 200);
  visitor.pass(hourMs - 1);
  assert.equal((await visitor.get("/", { "hx-request": "true" })).status, 200);
  visitor.pass(1);
  assert.ok(front(await visitor.text("/")));
});

test("a session that is used ends after twelve hours", async () => {
  const visitor = await loggedIn("f2b_viewer");
  for (let hour = 0; hour < 11; hour++) {
    visitor.pass(hourMs);
    assert.ok(!front(await visitor.text("/")));
  }
  visitor.pass(hourMs);
  assert.ok(front(await visitor.text("/")));
});

test("revoking a token ends the sessions opened with it at once", async () => {
  let isRevoked = false;
  const principal = { tokenId: 1, name: "ann", role: "admin", tenant: null } as const;
  const visitor = await loggedIn("f2b_ann", { principalOf: async () => (isRevoked ? undefined : principal) });
  assert.ok(!front(await visitor.text("/")));
  isRevoked = true;
  assert.ok(front(await visitor.text("/")));
});

test("when the database is away the door says so, and shows nothing of the error", async () => {
  const reported: unknown[] = [];
  const broken = { principalOf: async (): Promise<never> => Promise.reject(new Error("password=secret")) };
  const response = await newVisitor(broken, { report: (error) => reported.push(error) }).logIn("f2b_viewer");
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /secret/);
  assert.equal(reported.length, 1);
});
