import type { Context } from "hono";
import { html } from "hono/html";
import { z } from "zod";

/** What the page shows of an OpenAPI document; everything else in it is for programs. */
const Schema = z.looseObject({ $ref: z.string().optional(), type: z.unknown().optional() });
const Parameter = z.looseObject({
  name: z.string(),
  in: z.string(),
  required: z.boolean().optional(),
  description: z.string().optional(),
  schema: Schema.optional(),
});
const Content = z.record(z.string(), z.looseObject({ schema: Schema.optional() }));
const Operation = z.looseObject({
  summary: z.string().default(""),
  description: z.string().default(""),
  "x-least-role": z.string().default(""),
  parameters: z.array(Parameter).default([]),
  requestBody: z.looseObject({ content: Content }).optional(),
  responses: z.record(z.string(), z.looseObject({ description: z.string(), content: Content.optional() })),
});
const Document = z.looseObject({
  info: z.looseObject({ description: z.string().default("") }),
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.looseObject({ schemas: z.record(z.string(), Schema).default({}) }),
});
type Operation = z.infer<typeof Operation>;

/** Nothing from anywhere else, no script at all. */
const policy =
  "default-src 'none'; style-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; sandbox allow-same-origin allow-top-navigation-by-user-activation";

/** The reference of the API as a page: made from the document that validates the requests, so it is never out of date. */
export async function docsPage(context: Context, document: unknown): Promise<Response> {
  const read = Document.parse(document);
  context.header("content-security-policy", policy);
  context.header("x-content-type-options", "nosniff");
  const operations = Object.entries(read.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  return context.html(html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>fleet2ban API</title>
<link rel="stylesheet" href="/api/v1/docs/style.css">
</head>
<body>
<main>
<h1>fleet2ban API, version 1</h1>
<p>${read.info.description}</p>
<p>Every request carries <code>Authorization: Bearer f2b_…</code>. Errors are <code>application/problem+json</code>.
The same as a document for programs: <a href="/api/v1/openapi.json">openapi.json</a>.</p>
<nav aria-label="Routes"><ul>
${operations.map(({ path, method, operation }) => html`<li><a href="#${anchorOf(method, path)}"><code>${method} ${path}</code></a> ${operation.summary}</li>`)}
</ul></nav>
${operations.map((each) => operationOf(each))}
<h2>Schemas</h2>
${Object.entries(read.components.schemas).map(
  ([name, schema]) => html`<section id="${name}"><h3>${name}</h3><pre>${linked(schema)}</pre></section>`,
)}
</main>
</body>
</html>`);
}

function operationOf({ path, method, operation }: Readonly<{ path: string; method: string; operation: Operation }>) {
  const bodies = Object.entries(operation.requestBody?.content ?? {});
  return html`<section id="${anchorOf(method, path)}">
<h2><code>${method} ${path}</code></h2>
<p><strong>${operation.summary}</strong> <span class="role">${operation["x-least-role"]}</span></p>
${operation.description === "" ? "" : html`<p>${operation.description}</p>`}
${operation.parameters.length === 0 ? "" : parametersOf(operation)}
${bodies.map(([type, { schema }]) => html`<h3>Body, ${type}</h3><pre>${linked(schema ?? {})}</pre>`)}
<h3>Answers</h3>
<dl>${Object.entries(operation.responses).map(
    ([status, { description, content }]) =>
      html`<dt>${status}</dt><dd>${description} ${Object.values(content ?? {}).map(({ schema }) => nameOf(schema))}</dd>`,
  )}</dl>
</section>`;
}

function parametersOf({ parameters }: Operation) {
  const rows = parameters.map(
    (each) => html`<tr><td><code>${each.name}</code></td><td>${each.in}${each.required === true ? ", needed" : ""}</td>
<td>${each.description ?? ""}</td><td><code>${exampleOf(each.schema)}</code></td></tr>`,
  );
  return html`<table><thead><tr><th>Parameter</th><th>In</th><th>Meaning</th><th>Example</th></tr></thead><tbody>${rows}</tbody></table>`;
}

function exampleOf(schema: z.infer<typeof Schema> | undefined): string {
  return schema?.example === undefined ? "" : String(schema.example);
}

function nameOf(schema: z.infer<typeof Schema> | undefined) {
  const name = schema?.$ref?.split("/").at(-1);
  return name === undefined ? "" : html`<a href="#${name}">${name}</a>`;
}

/** JSON of a schema in which references lead to their schema. */
function linked(schema: unknown) {
  const text = JSON.stringify(schema, null, 2);
  const parts = text.split(/"\$ref": "#\/components\/schemas\/(\w+)"/);
  return html`${parts.map((part, index) => (index % 2 === 0 ? part : html`<a href="#${part}">${part}</a>`))}`;
}

function anchorOf(method: string, path: string): string {
  return `${method}${path}`.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
}

const style = `:root { color-scheme: light dark; --line: #8884; --accent: light-dark(#0b57d0, #8ab4f8); }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
a { color: var(--accent); }
section { border-top: 1px solid var(--line); margin-top: 2rem; }
pre { overflow-x: auto; padding: 0.75rem; border: 1px solid var(--line); border-radius: 6px; font-size: 0.85rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 0.25rem 0.5rem; border-bottom: 1px solid var(--line); vertical-align: top; }
dt { font-weight: 600; }
.role { border: 1px solid var(--line); border-radius: 1rem; padding: 0 0.6rem; font-size: 0.85rem; }
nav ul { padding-left: 1rem; }
`;

export function docsStyle(context: Context): Response {
  return context.body(style, 200, { "content-type": "text/css; charset=utf-8", "cache-control": "max-age=3600" });
}
