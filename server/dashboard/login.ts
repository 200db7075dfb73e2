import { html } from "hono/html";
import { bare } from "./frame.ts";
import { type Html, nothing } from "./parts/html.ts";

/** @param to  the page somebody came for, shown after the login */
export function loginPage(problem: string | null, to: string): Html {
  return bare(
    "Log in",
    html`<main id="content" class="door">
  <p class="brand">fleet2ban</p>
  <section class="card">
    <h1>Log in</h1>
    ${problem === null ? nothing : html`<p class="problem" role="alert">${problem}</p>`}
    <form method="post" action="/login">
      <input type="hidden" name="to" value="${to}">
      <input type="text" name="username" value="fleet2ban" autocomplete="username" hidden>
      <label class="field" for="token">API token</label>
      <input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
      <button class="primary">Log in</button>
    </form>
    <p class="quiet">The coordinator printed the first token when it first started. Others come from the page <em>Tokens</em> or from <code>fleet2ban token create</code>.</p>
  </section>
</main>`,
  );
}

/** Only a path of ours: a login never sends anybody elsewhere. */
export function ownPath(text: unknown): string {
  return typeof text === "string" && /^\/(?![/\\])[\x21-\x7e]{0,500}$/.test(text) ? text : "/";
}
