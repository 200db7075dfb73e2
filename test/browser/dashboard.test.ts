import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import { failedLogin, type LiveFleet, openLiveFleet } from "../support/live-fleet.ts";
import { waitFor } from "../support/wait-for.ts";
import { barriers, desk, logIn, night, openBrowser, phone, type TestBrowser, whyNoBrowser } from "./open-browser.ts";

/** One fleet for the whole file: a coordinator and three agents that observe. Later tests build on earlier ones. */
let fleet: LiveFleet;
let browser: TestBrowser;
let page: Page;
const attacker = "192.0.2.66";
/** What an attacker may call himself, in a log line. */
const hostileUser = "<img/src=x/onerror=alert(1)>";
const skip = whyNoBrowser;

before(async () => {
  if (skip !== false) return;
  const opening = openLiveFleet({ hosts: 3, namespaces: false, agentYaml: "evidence: lines" });
  [fleet, browser] = await Promise.all([opening, openBrowser()]);
  page = await browser.openPage(fleet.url);
});
after(async () => {
  if (skip !== false) return;
  await browser[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
});

/** Each host sees one failure: only together do they reach the policy's three. */
function attack(address: string): void {
  for (const host of fleet.hosts) host.append(failedLogin(host.name, address, Date.now(), hostileUser));
}

/** A page that is loaded again forgets this. */
const mark = () => page.evaluate(() => Object.assign(globalThis, { wasHere: true }));
const isMarked = () => page.evaluate(() => "wasHere" in globalThis);

test("a token nobody knows does not open the door, the admin's does", { skip }, async () => {
  await page.goto("/");
  await page.getByLabel("API token").fill("f2b_nobody");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("unknown, expired or revoked").waitFor();
  await logIn(page, fleet.token);
  await page.getByText("3 of 3").waitFor();
});

test("a ban of failures on three hosts appears on the overview without a reload", { skip }, async () => {
  await mark();
  attack(attacker);
  await page.locator("table").getByRole("link", { name: attacker }).first().waitFor();
  await page.getByText("3 on 3 hosts").waitFor();
  assert.ok(await isMarked(), "the page was not loaded again");
});

test("the address shows its failures on every host, with hostile log lines as text", { skip }, async () => {
  await page.locator("table").getByRole("link", { name: attacker }).first().click();
  await page.getByRole("heading", { name: attacker }).waitFor();
  await page.getByText(`${attacker} is banned`).waitFor();
  for (const host of fleet.hosts) await page.locator(".timeline").getByText(`default/${host.name}`).first().waitFor();
  await page.getByText(`Failed password for ${hostileUser}`).first().waitFor();
});

test("an unban is one choice and one button, and its receipts arrive by themselves", { skip }, async () => {
  await page.locator("summary", { hasText: "Unban" }).click();
  await page.getByLabel("It was a false positive").check();
  await page.getByRole("button", { name: "Unban now" }).click();
  await page.getByText("Lifted 1 ban").waitFor();
  await mark();
  await page.getByText("Removed on 3 of 3 hosts. Done.").waitFor();
  assert.ok(await isMarked());
  await page.getByText("not banned", { exact: true }).waitFor();
  await browser.picture(page, "unbanned");
});

test("several bans are lifted together, after a look at what will be lifted", { skip }, async () => {
  for (const net of ["198.51.100.1", "198.51.100.2", "198.51.100.3"]) {
    await fleet.api("POST", "/bans", { net, bantime: "1h", reason: `by hand ${hostileUser}` });
  }
  await page.getByRole("link", { name: "Bans", exact: true }).click();
  await page.getByLabel("Select 198.51.100.1").check();
  await page.getByLabel("Select 198.51.100.3").check();
  // A ban in the meantime redraws the list; what is ticked stays ticked.
  await fleet.api("POST", "/bans", { net: "198.51.100.4", bantime: "1h", reason: "by hand" });
  await page.getByLabel("Select 198.51.100.4").waitFor();
  assert.ok(await page.getByLabel("Select 198.51.100.3").isChecked());
  await page.getByRole("button", { name: "Unban selected…" }).click();
  await page.getByRole("heading", { name: "Unban 2 networks?" }).waitFor();
  await page.getByLabel("For another reason").check();
  await page.getByRole("button", { name: "Unban them" }).click();
  await page.getByRole("heading", { name: "Lifted 2 bans" }).waitFor();
});

test("all that a filter finds is lifted together, after a look at how many that is", { skip }, async () => {
  await page.goto("/bans?reason=admin");
  await page.getByRole("link", { name: "Unban everything that matches…" }).click();
  await page.getByRole("heading", { name: "Unban 2 bans?" }).waitFor();
  await page.getByLabel("For another reason").check();
  await page.getByRole("button", { name: "Unban all 2" }).click();
  await page.getByRole("heading", { name: "Lifted 2 bans" }).waitFor();
  await page.getByRole("row", { name: /fleet +2 +\d of 3 hosts/ }).waitFor();
  await fleet.api("POST", "/bans", { net: "198.51.100.2", bantime: "1h", reason: "by hand" });
});

test("a ban too wide for one is asked for by one and approved by another, and reaches every host", {
  skip,
}, async () => {
  const { token } = await fleet.api<{ token: string }>("POST", "/tokens", { name: "anna", role: "operator" });
  const anna = await browser.openPage(fleet.url);
  await logIn(anna, token);
  await anna.getByRole("link", { name: "Bans", exact: true }).click();
  await anna.locator("summary", { hasText: "Ban by hand" }).click();
  await anna.getByLabel("Address or network").last().fill("203.0.0.0/16");
  await anna.getByLabel("Why", { exact: true }).fill("a botnet's home");
  await anna.getByRole("button", { name: "Ban", exact: true }).click();
  await anna.getByText("waits for a second admin").waitFor();
  await anna.locator("summary", { hasText: "Decide" }).click();
  assert.equal(await anna.getByRole("button", { name: /now$/ }).count(), 0);
  await anna.context().close();
  await page.getByRole("link", { name: "Approvals" }).click();
  await page.locator("summary", { hasText: "Decide" }).click();
  await page.getByLabel("Why", { exact: true }).fill("seen");
  await page.getByRole("button", { name: "Ban 203.0.0.0/16 now" }).click();
  await page.getByText("203.0.0.0/16 is banned now").waitFor();
  const { items } = await fleet.api<{ items: { id: number }[] }>("GET", "/bans?net=203.0.0.0/16");
  const receipt = () => fleet.api<{ applied: number }>("GET", `/bans/${items[0]?.id}/receipt`);
  await waitFor(async () => (await receipt()).applied === 3, "every host to have carried it out");
  for (const host of fleet.hosts) {
    assert.doesNotMatch(readFileSync(join(host.folder, "agent.log"), "utf8"), /ban_refused/, host.name);
  }
});

test("a policy with a mistake is answered with a sentence, and stays in the editor", { skip }, async () => {
  await page.getByRole("link", { name: "Policy" }).click();
  await page.getByLabel("Policy, as YAML").fill("jails: { sshd: { maxretry: 0 } }");
  await page.getByRole("button", { name: "Check and try" }).click();
  await page.getByText("jails.sshd.maxretry: must be a whole number from 1 to 1000 (got 0)").waitFor();
  assert.equal(await page.getByLabel("Policy, as YAML").inputValue(), "jails: { sshd: { maxretry: 0 } }");
});

test("a policy is tried on what was recorded before it is put in force", { skip }, async () => {
  await page.getByLabel("Policy, as YAML").fill("jails: { sshd: { maxretry: 2 } }");
  await page.getByRole("button", { name: "Check and try" }).click();
  await page.getByRole("heading", { name: "What this policy would do" }).waitFor();
  await page.locator(".diff .added", { hasText: "maxretry: 2" }).waitFor();
  await page.getByText("Bans in all").waitFor();
  assert.deepEqual(await barriers(page), []);
  await browser.picture(page, "trial");
  await page.getByLabel("Why").fill("two are enough");
  await page.getByRole("button", { name: "Put it in force" }).click();
  await page.getByText("Policy 1 is in force.").waitFor();
});

test("a revoked token is out at once, also where it is logged in", { skip }, async () => {
  await page.getByRole("link", { name: "Tokens" }).click();
  await page.locator("summary", { hasText: "New token" }).click();
  await page.getByLabel("What it is for").fill(hostileUser);
  await page.getByRole("button", { name: "Make it" }).click();
  const secret = (await page.locator("#secret").textContent()) ?? "";
  const other = await browser.openPage(fleet.url);
  await logIn(other, secret);
  assert.equal(await other.getByRole("link", { name: "Tokens" }).count(), 0);
  await page.getByRole("link", { name: "Tokens" }).first().click();
  const row = page.locator("tr", { hasText: hostileUser });
  await row.locator("summary").click();
  await row.getByRole("button", { name: "Revoke it" }).click();
  await page.getByText("The token is revoked").waitFor();
  await fleet.api("POST", "/bans", { net: "198.51.100.5", bantime: "1h", reason: "something happens" });
  await other.getByRole("heading", { name: "Log in" }).waitFor();
  await other.context().close();
});

test("a host is enrolled with one command, made by a button", { skip }, async () => {
  await page.getByRole("link", { name: "Hosts" }).click();
  await page.locator("summary", { hasText: "Enrol a host" }).click();
  await page.getByRole("button", { name: "Make the command" }).click();
  await page.getByText(/^fleet2ban-agent enroll f2b-enroll-/).waitFor();
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByRole("button", { name: /Copied|Marked/ }).waitFor();
});

test("the whole audit log is checked by a button", { skip }, async () => {
  await page.getByRole("link", { name: "Audit" }).click();
  await page.getByRole("button", { name: "Check the whole log" }).click();
  await page.getByText("nobody has touched them").waitFor();
});

for (const [role, tenant] of [
  ["viewer", null],
  ["support", "default"],
  ["admin", "default"],
] as const) {
  const who = tenant === null ? role : `${role} of a tenant`;
  test(`every page a ${who} is offered can be opened`, { skip }, async () => {
    const { token } = await fleet.api<{ token: string }>("POST", "/tokens", { name: who, role, tenant });
    const visitor = await browser.openPage(fleet.url);
    await logIn(visitor, token);
    const links = await visitor.locator(".places a").all();
    const paths = await Promise.all(links.map((link) => link.getAttribute("href")));
    assert.ok(paths.length >= 5);
    for (const path of [...paths, `/address?ip=${attacker}`]) {
      await visitor.goto(path ?? "/");
      assert.deepEqual(await visitor.locator(".problem:visible").allTextContents(), [], path ?? "");
    }
    await visitor.context().close();
  });
}

test("the first Tab on every page reaches the skip link, also after a click on the row of pages", {
  skip,
}, async () => {
  for (const name of ["Hosts", "Bans", "Audit"]) {
    await page.locator(".places").getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { name, level: 1 }).waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.locator(":focus").textContent(), "Skip to content", name);
  }
});

test("everything is in reach of the keyboard", { skip }, async () => {
  await page.goto("/bans");
  await page.keyboard.press("/");
  assert.equal(await page.locator(":focus").getAttribute("id"), "lookup");
  await page.keyboard.type(attacker);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: attacker }).waitFor();
  const summary = page.locator("summary", { hasText: "Allow…" });
  await summary.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Allow", exact: true }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Allow", exact: true }).waitFor({ state: "hidden" });
  assert.equal(await page.locator(":focus").textContent(), "Allow…");
});

const places = [
  ...[
    "/",
    "/bans",
    `/address?ip=${attacker}`,
    "/unban?net=198.51.100.2",
    "/unban/matching?reason=admin",
    "/hosts",
    "/enroll",
    "/tenants",
  ],
  ...[
    "/lists",
    "/feeds",
    "/held",
    "/approvals?state=all",
    "/policy",
    "/policy/version?version=1",
    "/audit",
    "/tokens",
    "/self-check",
  ],
];
// Side by side: the browser has more than one process.
describe("looks", { concurrency: true }, () => {
  for (const looks of [desk, night, phone]) {
    test(`no page has a barrier or runs over its edge (${looks.name})`, { skip }, async () => {
      attack("192.0.2.67");
      const visitor = await browser.openPage(fleet.url, looks);
      await visitor.goto("/");
      assert.deepEqual(await barriers(visitor, looks), [], "log in");
      await logIn(visitor, fleet.token);
      for (const path of places) {
        await visitor.goto(path);
        assert.deepEqual(await barriers(visitor, looks), [], path);
        const overhang = Number(await visitor.evaluate("document.documentElement.scrollWidth - innerWidth"));
        assert.ok(overhang <= 0, `${path} is ${overhang} pixels too wide`);
        const name = path === "/" ? "overview" : path.slice(1).split("?")[0]?.replaceAll("/", "-");
        await browser.picture(visitor, `${looks.name}-${name}`);
      }
      await visitor.context().close();
    });
  }
});

test("no page had an error, ran what it should not or asked anybody else", { skip }, () => {
  assert.deepEqual(browser.trouble, []);
});
