import { html } from "hono/html";
import type { Principal } from "../desk/desk.ts";
import { type Html, nothing } from "./parts/html.ts";
import { type Act, may } from "./visit.ts";

const places: readonly Readonly<{ path: string; name: string; act: Act }>[] = [
  { path: "/", name: "Overview", act: "look" },
  { path: "/bans", name: "Bans", act: "look" },
  { path: "/hosts", name: "Hosts", act: "look" },
  { path: "/tenants", name: "Tenants", act: "look" },
  { path: "/lists", name: "Allow & never", act: "look" },
  { path: "/feeds", name: "Feeds", act: "feeds" },
  { path: "/held", name: "Held", act: "held" },
  { path: "/approvals", name: "Approvals", act: "look" },
  { path: "/policy", name: "Policy", act: "policy" },
  { path: "/audit", name: "Audit", act: "audit" },
  { path: "/tokens", name: "Tokens", act: "tokens" },
];

export type Frame = Readonly<{
  title: string;
  path: string;
  principal: Principal;
  formToken: string;
  notice: string | null;
  problem: string | null;
  /** What is known about the visitor's own address. */
  own: Html;
  content: Html;
}>;

const scripts = html`<link rel="stylesheet" href="/assets/uplot.css">
  <script src="/assets/htmx.js" defer></script>
  <script src="/assets/uplot.js" defer></script>
  <script src="/assets/dashboard.js" defer></script>`;

/** Every page of somebody who is logged in. */
export function framed({ title, path, principal, formToken, notice, problem, own, content }: Frame): Html {
  const shown = places.filter((place) => may(principal, place.act));
  const links = shown.map(
    (place) => html`<a href="${place.path}" ${place.path === path ? html`aria-current="page"` : ""}>${place.name}</a>`,
  );
  const who = `${principal.name} · ${principal.role}${principal.tenant === null ? "" : ` of ${principal.tenant}`}`;
  const body = html`<header class="top">
  <a class="brand" href="/">fleet2ban</a>
  <form class="lookup" role="search" action="/address">
    <label class="unseen" for="lookup">Address or network</label>
    <input id="lookup" name="ip" type="search" placeholder="Look up an address" autocomplete="off" autocapitalize="off" spellcheck="false" required>
    <button>Explain</button>
  </form>
  <form class="login" method="post" action="/logout">
    <input type="hidden" name="formToken" value="${formToken}"><span class="who" title="${who}">${who}</span><button class="plain">Log out</button>
  </form>
</header>
<nav class="places" aria-label="Pages">${links}</nav>
<main id="content" tabindex="-1">
  <p id="stale" class="problem" role="alert" hidden>The coordinator does not answer: this page is not up to date. It goes on by itself.</p>
  ${notice === null ? nothing : html`<p class="notice" role="status">${notice}</p>`}
  ${problem === null ? nothing : html`<p class="problem" role="alert">${problem}</p>`}
  ${content}
</main>
<footer>${own}</footer>`;
  return bare(title, body, scripts);
}

/** A document of ours, with nothing that comes from elsewhere and no script or style inside. */
export function bare(title: string, body: Html, scripts: Html = nothing): Html {
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="htmx-config" content='{"includeIndicatorCSS":false,"history":false,"morphIgnore":["data-htmx-powered","open"]}'>
  <title>${title} · fleet2ban</title>
  <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/assets/style.css">
  ${scripts}
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
${body}
</body>
</html>`;
}
