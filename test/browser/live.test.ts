import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { serve } from "@hono/node-server";
import { createDashboard } from "../../server/dashboard/dashboard.ts";
import type { BanView, Desk } from "../../server/desk/desk.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { aBan, fakeDesk, nowMs } from "../server/dashboard/fake-desk.ts";
import { waitFor } from "../support/wait-for.ts";
import { logIn, openBrowser, whyNoBrowser } from "./open-browser.ts";

type Listener = Parameters<Desk["watch"]>[1];

test("a page shows what happened as soon as it hears of it, and keeps what a person was doing", {
  skip: whyNoBrowser,
}, async () => {
  await using opened = new AsyncDisposableStack();
  const listeners = new Set<Listener>();
  const bans: BanView[] = [aBan];
  let isBroken = false;
  const event = { kind: "unban", atMs: 0, net: aBan.net, scope: "fleet", reason: "admin" } as const;
  const tell = () => {
    for (const listener of listeners) listener(event);
  };
  const desk = fakeDesk({
    bans: async () => {
      if (isBroken) throw new Fleet2banError("unavailable", "the database is away");
      return { items: [...bans], next: null };
    },
    watch: (_asker, listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  });
  const server = serve({ fetch: createDashboard(desk, () => nowMs).fetch, hostname: "127.0.0.1", port: 0 });
  await once(server, "listening");
  opened.defer(() => {
    if ("closeAllConnections" in server) server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const browser = opened.use(await openBrowser());
  const page = await browser.openPage(`http://127.0.0.1:${address.port}`);
  await logIn(page, "f2b_admin");
  await page.goto("/bans");
  await waitFor(() => listeners.size > 0, "the page to listen");

  await page.getByLabel("Select 192.0.2.7/32").check();
  await page.locator("summary", { hasText: "Ban by hand" }).click();
  await page.getByLabel("Why", { exact: true }).fill("half a sent");
  bans.unshift({ ...aBan, id: 9, net: "203.0.113.9/32" });
  tell();

  // Long before the page would have looked by itself.
  await page.getByRole("link", { name: "203.0.113.9" }).waitFor({ timeout: 5000 });
  assert.ok(await page.getByLabel("Select 192.0.2.7/32").isChecked(), "ticks stay");
  assert.equal(await page.getByLabel("Why", { exact: true }).inputValue(), "half a sent");

  isBroken = true;
  tell();
  await page.getByText("this page is not up to date").waitFor();
  assert.ok(await page.getByRole("link", { name: "203.0.113.9" }).isVisible(), "what was there stays");
  isBroken = false;
  tell();
  await page.getByText("this page is not up to date").waitFor({ state: "hidden" });

  await page.getByRole("button", { name: "Select all shown" }).click();
  assert.ok(await page.getByLabel("Select 203.0.113.9/32").isChecked());
  assert.deepEqual(browser.trouble, []);
});
