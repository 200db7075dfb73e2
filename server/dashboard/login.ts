import { html } from "hono/html";
import { bare } from "./frame.ts";
import { type Html, nothing } from "./parts/html.ts";

export function loginPage(problem: string | null): Html {
  return bare(
    "Log in",
    html`<main id="content" class="door">
  <p class="brand">fleet2ban</p>
  <section class="card">
    <h1>Log in</h1>
    ${problem === null ? nothing : html`<p class="problem" role="alert">${problem}</p>`}
    <form method="post" action="/login">
      <label class="field" for="token">API token</label>
      <input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
      <button class="primary">Log in</button>
    </form>
    <p class="quiet">The coordinator printed the first token when it first started. Others come from the page <em>Tokens</em> or from <code>fleet2ban token create</code>.</p>
  </section>
</main>`,
  );
}
