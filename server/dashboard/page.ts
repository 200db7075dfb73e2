import { html } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import type { Principal } from "../desk/desk.ts";

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

/** Every page's frame. `hono/html` escapes every value, so names and log lines never become markup. */
export function page(title: string, principal: Principal | null, content: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="htmx-config" content='{"includeIndicatorCSS":false}'>
  <title>${title} · fleet2ban</title>
  <link rel="stylesheet" href="/assets/style.css">
  <script src="/assets/htmx.js" defer></script>
</head>
<body>
  <a class="skip" href="#content">Skip to content</a>
  <header>
    <a class="brand" href="/">fleet2ban</a>
    ${
      principal === null
        ? ""
        : html`<form method="post" action="/logout"><span class="who">${principal.name} · ${principal.role}${principal.tenant === null ? "" : ` of ${principal.tenant}`}</span> <button>Log out</button></form>`
    }
  </header>
  <main id="content">${content}</main>
</body>
</html>`;
}

export function loginPage(problem: string | null): Html {
  const content = html`<section class="card narrow">
  <h1>Log in</h1>
  ${problem === null ? "" : html`<p class="problem" role="alert">${problem}</p>`}
  <form method="post" action="/login">
    <label for="token">API token</label>
    <input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
    <button>Log in</button>
  </form>
  <p class="hint">The coordinator printed the first token when it first started. Others come from <code>fleet2ban token create</code>.</p>
</section>`;
  return page("Log in", null, content);
}
