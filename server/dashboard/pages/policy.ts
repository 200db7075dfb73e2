import { html } from "hono/html";
import { z } from "zod";
import { Fleet2banError } from "../../../shared/errors.ts";
import type { PolicyTrial } from "../../desk/policy-views.ts";
import { diff } from "../parts/diff.ts";
import { disclosure, type Form, fields, input, readForm } from "../parts/form.ts";
import { type Html, nothing } from "../parts/html.ts";
import { table } from "../parts/table.ts";
import { ago } from "../parts/time.ts";
import { trial } from "../parts/trial.ts";
import { may, type Page, type Pages, type Visit } from "../visit.ts";

const versionsMax = 30;
/** As far back as failures are kept with their detail. */
const trialDays = 7;

/** All thresholds in one document: read, tried on what was recorded, then put in force. */
export function policyPages(pages: Pages): void {
  pages.get("/policy", "policy", (visit) => show(visit, null));
  pages.get("/policy/version", "policy", showVersion);
  pages.post("/policy/try", "tryPolicy", tryOut, again);
  pages.post("/policy/edit", "policy", again, again);
  pages.post(
    "/policy",
    "setPolicy",
    async ({ desk, principal }, form) => {
      const { reason } = readForm(form, { reason: fields.reason });
      const options = { reason, ifMatch: form.text("etag") };
      const { version } = await desk.setPolicy(principal, form.text("document"), options);
      return { to: "/policy", notice: `Policy ${version} is in force.` };
    },
    again,
  );
  pages.post(
    "/policy/revert",
    "setPolicy",
    async ({ desk, principal }, form) => {
      const { reason } = readForm(form, { reason: fields.reason });
      const { version } = await desk.revertPolicy(principal, { reason, ifMatch: form.text("etag") });
      return { to: "/policy", notice: `The version before is in force again, as policy ${version}.` };
    },
    again,
  );
}

/** What was written stays in the editor when it is refused. */
function again(visit: Visit, form: Form): Promise<Page> {
  return show(visit, form.text("document") || null);
}

async function show(visit: Visit, document: string | null): Promise<Page> {
  const { desk, principal, formToken, nowMs } = visit;
  const [policy, versions] = await Promise.all([
    desk.policy(principal),
    desk.policyVersions(principal, { limit: versionsMax }),
  ]);
  const written = document ?? (policy.document === "" ? policy.effective : policy.document);
  const rows = versions.items.map((version) => ({
    id: `version-${version.version}`,
    cells: [
      html`<a href="/policy/version?version=${version.version}">policy ${version.version}</a>`,
      version.current ? html`<span class="badge state-good">in force</span>` : nothing,
      version.by,
      ago(version.createdMs, nowMs),
    ],
  }));
  const columns = [{ name: "Version" }, { name: "State" }, { name: "By" }, { name: "Since" }];
  const empty = "The built-in policy is in force. The first one you write becomes version 1.";
  const content = html`<div class="heading"><h1>Policy</h1>${policy.version > 0 && may(principal, "setPolicy") ? revertForm(visit, policy.etag) : nothing}</div>
<p class="intro">${policy.version === 0 ? "The built-in policy is in force." : html`Policy ${policy.version} by ${policy.by} is in force.`} What you leave out is as in the built-in one. Nothing changes before you have seen what it would do.</p>
<div class="columns">
<form method="post" action="/policy/try" class="card">
  <input type="hidden" name="formToken" value="${formToken}"><input type="hidden" name="etag" value="${policy.etag}">
  <label class="field">Policy, as YAML<textarea name="document" rows="28" spellcheck="false" autocapitalize="off">${written}</textarea></label>
  ${
    may(principal, "tryPolicy")
      ? html`<div class="actions"><button class="primary">Check and try</button><span class="quiet">Replays the failures of the last ${trialDays} days.</span></div>`
      : nothing
  }
</form>
<div><section class="card"><h2>Versions</h2>${table(columns, rows, { caption: "Versions, newest first", empty })}</section>
${disclosure("Everything that holds, defaults included", html`<pre class="document" tabindex="0">${policy.effective}</pre>`)}</div>
</div>`;
  return { title: "Policy", content };
}

async function tryOut(visit: Visit, form: Form): Promise<Page> {
  const { desk, principal } = visit;
  const document = form.text("document");
  const checked = await desk.setPolicy(principal, document, { dryRun: true });
  const [inForce, outcome] = await Promise.all([
    desk.policy(principal),
    desk.tryPolicy(principal, document, trialDays),
  ]);
  const before = inForce.effective;
  return {
    title: "Policy",
    content: verdict(visit, { document, before, after: checked.effective, outcome, etag: form.text("etag") }),
  };
}

type Verdict = Readonly<{ document: string; before: string; after: string; outcome: PolicyTrial; etag: string }>;

function verdict({ formToken, principal }: Visit, { document, before, after, outcome, etag }: Verdict): Html {
  const hidden = html`<input type="hidden" name="formToken" value="${formToken}"><input type="hidden" name="etag" value="${etag}"><textarea name="document" hidden aria-hidden="true" tabindex="-1">${document}</textarea>`;
  return html`<h1>What this policy would do</h1>
<section class="card"><h2>What changes in the document</h2>${diff(before, after)}</section>
${trial(outcome)}
<section class="card">
  ${may(principal, "setPolicy") ? putForm(hidden) : html`<p class="quiet">An admin of the whole fleet can put it in force.</p>`}
  <form method="post" action="/policy/edit">${hidden}<button>Back to the editor</button></form>
</section>`;
}

function putForm(hidden: Html): Html {
  return html`<form method="post" action="/policy" class="stack">${hidden}
  ${input("reason", "Why", { placeholder: "fewer false positives on mail", required: true })}
  <button class="primary">Put it in force</button></form>`;
}

async function showVersion(visit: Visit): Promise<Page> {
  const { desk, principal, query, formToken } = visit;
  const read = z.coerce.number().int().positive().safeParse(query.get("version"));
  if (!read.success) throw new Fleet2banError("invalid", "version: choose one from the list");
  const [policy, inForce] = await Promise.all([desk.policyVersion(principal, read.data), desk.policy(principal)]);
  const content = html`<h1>Policy ${policy.version}</h1>
<section class="card"><h2>Compared with the one in force</h2>${diff(inForce.effective, policy.effective)}</section>
<section class="card"><h2>As it was written, by ${policy.by}</h2><pre class="document" tabindex="0">${policy.document}</pre>
<form method="post" action="/policy/try"><input type="hidden" name="formToken" value="${formToken}"><input type="hidden" name="etag" value="${inForce.etag}"><textarea name="document" hidden aria-hidden="true" tabindex="-1">${policy.document}</textarea>
<div class="actions">${may(principal, "tryPolicy") ? html`<button>Try it again</button>` : nothing}<a class="button" href="/policy">Back</a></div></form></section>`;
  return { title: `Policy ${policy.version}`, content };
}

function revertForm({ formToken }: Visit, etag: string): Html {
  const form = html`<form method="post" action="/policy/revert" class="stack">
  <input type="hidden" name="formToken" value="${formToken}"><input type="hidden" name="etag" value="${etag}">
  <p>Puts the version before this one in force again, as a new version. Bans that stand stay.</p>
  ${input("reason", "Why", { required: true })}<button class="danger">Revert now</button></form>`;
  return disclosure("Revert", form);
}
