import assert from "node:assert/strict";
import { test } from "node:test";
import { aBan, fakeDesk, hostile } from "./fake-desk.ts";
import { loggedIn, newVisitor } from "./visitor.ts";

const anybody = { tokenId: 1, name: "ann", role: "viewer", tenant: null } as const;
const places = [
  ...["/", "/bans", "/address?ip=192.0.2.7&lifted=7", "/unban?net=192.0.2.7%2F32", "/hosts", "/enroll", "/tenants"],
  ...[
    "/lists",
    "/unban/matching?jail=sshd",
    "/feeds",
    "/held",
    "/approvals",
    "/policy",
    "/policy/version?version=2",
    "/audit",
    "/tokens",
  ],
];

for (const path of places) {
  test(`${path}: hostile names and log lines are text, never markup`, async () => {
    const response = await (await loggedIn("f2b_admin")).get(path);
    const shown = await response.text();
    assert.equal(response.status, 200);
    assert.doesNotMatch(shown, /<img|<script>|onerror=alert\(1\)>/);
    // Where it stands it is escaped whole: neither an element begins nor an attribute ends.
    assert.doesNotMatch(shown, new RegExp(RegExp.escape(hostile)));
  });
}

test("what the address bar says is text as well", async () => {
  const visitor = await loggedIn("f2b_admin");
  const text = encodeURIComponent(hostile);
  for (const path of [
    `/bans?net=${text}`,
    `/address?ip=${text}`,
    `/audit?actor=${text}&cursor=${text}`,
    `/hosts?search=${text}`,
  ]) {
    assert.doesNotMatch(await visitor.text(path), /<img|<script>/, path);
  }
});

test("a policy's trial shows hostile reasons as text", async () => {
  const visitor = await loggedIn("f2b_admin");
  const response = await visitor.send("/policy/try", { document: `# ${hostile}`, etag: "p3" });
  const shown = await response.text();
  assert.equal(response.status, 200);
  assert.match(shown, /Bans it adds/);
  assert.doesNotMatch(shown, /<img|<script>/);
});

test("a new token's name is text, and its secret is kept by no cache", async () => {
  const made = {
    id: 9,
    name: hostile,
    role: "viewer",
    tenant: null,
    createdMs: 0,
    untilMs: null,
    lastUsedMs: null,
  } as const;
  const visitor = await loggedIn("f2b_admin", {
    addApiToken: async () => ({ ...made, revokedMs: null, token: "f2b_secret" }),
  });
  const response = await visitor.send("/tokens", { name: hostile, role: "viewer", tenant: "", span: "" });
  assert.equal(response.headers.get("cache-control"), "no-store");
  const shown = await response.text();
  assert.match(shown, /f2b_secret/);
  assert.doesNotMatch(shown, /<img|<script>/);
});

for (const path of places) {
  test(`${path} holds no inline script, style or handler, and loads nothing from elsewhere`, async () => {
    const response = await (await loggedIn("f2b_admin")).get(path);
    const shown = await response.text();
    assert.doesNotMatch(shown, /<style|\sstyle="|\son\w+="|<script(?![^>]*\ssrc=")/);
    for (const [, url = ""] of shown.matchAll(/\s(?:src|href|action|hx-get)="([^"]*)"/g)) assert.match(url, /^(\/|#)/);
    const policy = response.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /script-src 'self'(;|$)/);
    assert.match(policy, /style-src 'self'(;|$)/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.equal(response.headers.get("cache-control"), "no-store");
  });
}

test("a viewer is offered nothing that a viewer may not do", async () => {
  const visitor = await loggedIn("f2b_viewer");
  for (const path of ["/", "/bans", "/address?ip=192.0.2.7", "/hosts", "/tenants", "/lists", "/held", "/policy"]) {
    const shown = await visitor.text(path);
    const actions = [...shown.matchAll(/<form[^>]*method="post"[^>]*action="([^"]*)"/g)].map(([, action]) => action);
    assert.deepEqual(
      actions.filter((action) => action !== "/logout" && action !== "/policy/try"),
      [],
      path,
    );
    assert.doesNotMatch(shown, /href="\/(tokens|audit|enroll)"/, path);
    assert.doesNotMatch(shown, /<button[^>]*>(Unban|Ban|Allow|Never|Check)/, path);
  }
});

test("pages a role may not see are refused, and say which role may", async () => {
  const visitor = await loggedIn("f2b_viewer");
  for (const path of ["/tokens", "/audit", "/audit/reach?entry=9", "/enroll", "/unban?net=192.0.2.7"]) {
    const response = await visitor.get(path);
    assert.equal(response.status, 403, path);
    assert.match(await response.text(), /this needs the role \w+; your token &quot;a viewer&quot; has viewer/);
  }
});

test("a tenant's own admin is not offered what is the whole fleet's", async () => {
  const shown = await (await loggedIn("f2b_admin_of_acme")).text("/lists");
  assert.doesNotMatch(shown, /href="\/(held|policy)"/);
  assert.doesNotMatch(shown, /\/lists\/never/);
  assert.match(shown, /\/lists\/allow/);
});

test("a preview lifts nothing and names every ban that would be lifted", async () => {
  const visitor = await loggedIn("f2b_support", {
    bans: async () => ({ items: [aBan, { ...aBan, id: 9, net: "192.0.2.70/32" }], next: null }),
  });
  const shown = await visitor.text("/unban?net=192.0.2.7");
  assert.match(shown, /1 ban will be lifted on every host/);
  assert.match(shown, /id="ban-7"/);
  assert.doesNotMatch(shown, /id="ban-9"/);
});

test("an address inside a banned network is offered the ban that stands, not one of itself", async () => {
  const explained = await fakeDesk().explain(anybody, "2001:db8::1/128");
  const around = { ...explained, localBans: [], bans: explained.bans.map((ban) => ({ ...ban, net: "2001:db8::/64" })) };
  const one = await loggedIn("f2b_support", { explain: async () => around });
  assert.match(
    await one.text("/address?ip=2001:db8::1"),
    /action="\/address\/unban"[\s\S]*?name="net" value="2001:db8::\/64"/,
  );
  const both = { ...around, bans: [...around.bans, ...explained.bans] };
  const several = await loggedIn("f2b_support", { explain: async () => both });
  const offer = /<form action="\/unban"><input[^>]*value="2001:db8::\/64"><input[^>]*value="192\.0\.2\.7\/32">/;
  assert.match(await several.text("/address?ip=2001:db8::1"), offer);
});

test("the visitor's own address is shown with whether it is banned or protected", async () => {
  const options = { isBehindProxy: true };
  const visitor = await loggedIn("f2b_viewer", {}, options);
  const shown = await (await visitor.get("/hosts", { "x-forwarded-for": "203.0.113.9, 198.51.100.4" })).text();
  assert.match(shown, /<p class="own bad"><a href="\/address\?ip=198\.51\.100\.4">Your address<\/a>: summary/);
});

test("without a proxy nobody is believed about an address", async () => {
  const shown = await (
    await (await loggedIn("f2b_viewer")).get("/hosts", { "x-forwarded-for": "198.51.100.4" })
  ).text();
  assert.doesNotMatch(shown, /198\.51\.100\.4/);
});

const asVisitor = { "x-forwarded-for": "192.0.2.7" };

test("the self-check says why and until when, and nothing about hosts, tenants or their evidence", async () => {
  const visitor = newVisitor({}, { isBehindProxy: true, selfCheck: { contact: "support@fleet.example" } });
  const response = await visitor.get("/self-check", asVisitor);
  const shown = await response.text();
  assert.equal(response.status, 200);
  assert.match(shown, /Yes\. <code>192\.0\.2\.7<\/code> is banned/);
  assert.match(shown, /Too many failed attempts \(sshd\); port 22; ends by itself in 1d/);
  assert.match(shown, /support@fleet\.example/);
  assert.doesNotMatch(shown, /onerror|acme|policy 3|failures/);
});

test("the self-check answers only about the visitor's own address", async () => {
  const asked: string[] = [];
  const visitor = newVisitor(
    {
      explain: async (_asker, address) => {
        asked.push(address);
        throw new Error("enough");
      },
    },
    { isBehindProxy: true },
  );
  await visitor.get("/self-check?ip=203.0.113.1", asVisitor);
  assert.deepEqual(asked, ["192.0.2.7"]);
});

test("many people asking the self-check at once do not become many questions", async () => {
  let asked = 0;
  const visitor = newVisitor(
    {
      explain: async () => {
        asked += 1;
        throw new Error("enough");
      },
    },
    { isBehindProxy: true },
  );
  for (let index = 0; index < 50; index++) await visitor.get("/self-check", asVisitor);
  assert.equal(asked, 20);
  visitor.pass(1000);
  await visitor.get("/self-check", asVisitor);
  assert.equal(asked, 21);
});

test("a self-check that is switched off is not there", async () => {
  assert.equal((await newVisitor({}, { selfCheck: null }).get("/self-check")).status, 404);
});
