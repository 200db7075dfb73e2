import { html } from "hono/html";
import { z } from "zod";
import { dayMs } from "../../../shared/durations.ts";
import type { FeedView } from "../../desk/feed-views.ts";
import { disclosure, fields, input, readForm } from "../parts/form.ts";
import { type Content, type Html, nothing } from "../parts/html.ts";
import { live } from "../parts/live.ts";
import { type Column, count, table } from "../parts/table.ts";
import { ago } from "../parts/time.ts";
import { may, type Page, type Pages, type Visit } from "../visit.ts";

/** What the command line gives a feed that says nothing else. */
const usual = { everyMs: dayMs, ttlMs: 7 * dayMs, entriesMax: 50_000 } as const;
/** Of each kind of what was left out. */
const examplesShown = 5;

const verbs = {
  enforce: "Ban what it lists",
  observe: "Only observe it",
  off: "Switch it off",
  refresh: "Fetch it now",
  remove: "Remove it",
} as const;
type Verb = keyof typeof verbs;

/** Others' lists: how each stands, and what is done with it. */
export function feedPages(pages: Pages): void {
  pages.get("/feeds", "feeds", show);
  pages.post(
    "/feeds/add",
    "changeFeeds",
    async ({ desk, principal }, form) => {
      const {
        name,
        source,
        reason: note,
      } = readForm(form, {
        name: fields.name,
        source: z.string().trim().min(1, "must be https://… or file:NAME"),
        reason: fields.reason,
      });
      await desk.addFeed(principal, { name, source, note, ...usual });
      return { to: "/feeds", notice: `${name} is observed: it bans nobody until you say so.` };
    },
    show,
  );
  pages.post(
    "/feeds",
    "changeFeeds",
    async ({ desk, principal }, form) => {
      const { name, verb } = readForm(form, { name: fields.name, verb: z.enum(Object.keys(verbs) as [Verb]) });
      if (verb === "remove") await desk.removeFeed(principal, name);
      else if (verb === "refresh") await desk.refreshFeed(principal, name, false);
      else await desk.changeFeed(principal, name, { mode: verb });
      return { to: "/feeds", notice: `${name}: ${verbs[verb].toLowerCase()}. Bans follow within seconds.` };
    },
    show,
  );
}

const columns: readonly Column[] = [
  { name: "Feed" },
  { name: "Mode" },
  { name: "Entries", kind: "number" },
  { name: "Banned", kind: "number" },
  { name: "Left out", kind: "wide" },
  { name: "Last good" },
  { name: "State", kind: "wide" },
  { name: "Change", kind: "action" },
];

async function show(visit: Visit): Promise<Page> {
  const { desk, principal, nowMs } = visit;
  const rows = (await desk.feeds(principal)).map((feed) => ({
    id: `feed-${feed.name}`,
    isBad: feed.problem !== null,
    cells: [
      html`<strong>${feed.name}</strong> <span class="second">${feed.note}</span>`,
      feed.mode,
      count(feed.entries),
      count(feed.banned),
      leftOut(feed),
      ago(feed.goodMs, nowMs),
      stateOf(feed),
      may(principal, "changeFeeds") && !feed.removing ? changeForm(visit, feed) : nothing,
    ],
  }));
  const empty = "No feeds. A feed is a blocklist that others publish; it is only observed until you enforce it.";
  const content = html`<div class="heading"><h1>Feeds</h1>
  ${may(principal, "changeFeeds") ? disclosure("Add…", addForm(visit)) : nothing}</div>
<p class="intro">Lists of others, the weakest of all: they count as no evidence, and every allow comes first. What you lift of one stays lifted.</p>
${live({ ...visit, path: "/feeds" }, html`<section class="card">${table(columns, rows, { caption: "Feeds", empty })}</section>`)}`;
  return { title: "Feeds", content };
}

function stateOf({ removing, problem, mode, inForce, source }: FeedView): Content {
  if (removing) return "being removed";
  if (problem === null) return html`ok <span class="second">${source}</span>`;
  return `${mode === "enforce" && !inForce ? "not in force: " : ""}${problem}`;
}

function leftOut({ report }: FeedView): Content {
  const said = Object.entries(report?.leftOut ?? {}).flatMap(([why, number]) => {
    if (number === 0) return [];
    const examples = (report?.examples[why] ?? []).slice(0, examplesShown).join(", ");
    return [`${number} ${why}${examples === "" ? "" : ` (${examples}${number > examplesShown ? " …" : ""})`}`];
  });
  return said.length === 0 ? nothing : said.join("; ");
}

function changeForm({ formToken }: Visit, feed: FeedView): Html {
  const offered = (Object.keys(verbs) as Verb[]).filter(
    (verb) => verb !== feed.mode && !(verb === "refresh" && feed.mode === "off"),
  );
  const buttons = offered.map((verb) => {
    const kind = verb === "enforce" || verb === "remove" ? "danger" : "plain";
    return html`<button class="${kind}" name="verb" value="${verb}">${verbs[verb]}</button>`;
  });
  return disclosure(
    "Change",
    html`<form method="post" action="/feeds" class="stack">
  <input type="hidden" name="formToken" value="${formToken}"><input type="hidden" name="name" value="${feed.name}">
  <p>${count(feed.entries)} networks on every host. Switching off, observing and removing lifts what it banned.</p>
  <div class="actions">${buttons}</div></form>`,
  );
}

function addForm({ formToken }: Visit): Html {
  return html`<form method="post" action="/feeds/add" class="stack">
  <input type="hidden" name="formToken" value="${formToken}"><p>It is fetched once a day and bans nobody yet.</p>
  ${input("name", "Name", { placeholder: "drop", required: true })}
  ${input("source", "Source", { placeholder: "https://…", hint: "or file:NAME", required: true })}
  ${input("reason", "Whose list, which licence", { required: true })}
  <button class="primary">Add</button></form>`;
}
