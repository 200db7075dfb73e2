import type { Hono } from "hono";
import { html } from "hono/html";
import { secondMs } from "../../shared/durations.ts";
import type { Explanation } from "../desk/address-views.ts";
import type { BanView, Principal } from "../desk/desk.ts";
import type { DashboardParts } from "./dashboard.ts";
import { bare } from "./frame.ts";
import { portsOf } from "./parts/ban-cells.ts";
import { type Html, nothing } from "./parts/html.ts";
import { roughly } from "./parts/time.ts";

/** Nobody's token: it may look at one address, the visitor's own, and shows of the answer only what is said below. */
const anybody: Principal = { tokenId: 0, name: "self-check", role: "viewer", tenant: null };
/** Anybody may ask, so the questions that reach the database are counted over everybody. */
const questionsMax = 20;
const questionsMs = secondMs;

/** A public page: whether and why the visitor's own address is banned, until when, and whom to ask. Nothing else. */
export function selfCheck(app: Hono, { desk, now, addressOf, report }: DashboardParts, contact: string): void {
  let questions = 0;
  let sinceMs = 0;

  app.get("/self-check", async (context) => {
    context.header("cache-control", "no-store");
    const nowMs = now();
    if (nowMs - sinceMs >= questionsMs) [sinceMs, questions] = [nowMs, 0];
    questions += 1;
    if (questions > questionsMax) {
      context.header("retry-after", "2");
      return context.html(door(html`<p>Too many people are asking right now. Please reload in a moment.</p>`), 503);
    }
    const address = addressOf(context);
    if (address === null) return context.html(door(html`<p>Your address cannot be seen from here.</p>`));
    try {
      return context.html(door(answer(address, await desk.explain(anybody, address), contact, nowMs)));
    } catch (error) {
      report(error);
      return context.html(door(html`<p>This cannot be answered right now. Please reload in a moment.</p>`), 503);
    }
  });
}

function door(content: Html): Html {
  return bare(
    "Am I banned?",
    html`<main id="content" class="door"><section class="card"><h1>Am I banned?</h1>${content}</section></main>`,
  );
}

function answer(address: string, known: Explanation, contact: string, nowMs: number): Html {
  if (!known.banned) {
    return html`<p class="verdict good">No. <code>${address}</code> is not banned here.</p>
<p class="quiet">If something still does not open, the cause is elsewhere: a firewall of your own network, a wrong password, or the service itself.</p>`;
  }
  const reasons = known.bans.map(
    (ban) =>
      html`<li>${whyOf(ban)}; port ${portsOf(ban.ports)}; ${
        ban.untilMs === null ? "until somebody lifts it" : `ends by itself in ${roughly(ban.untilMs - nowMs)}`
      }.</li>`,
  );
  const own = known.localBans.length === 0 ? nothing : html`<li>Too many failed attempts on a single server.</li>`;
  return html`<p class="verdict bad">Yes. <code>${address}</code> is banned.</p>
<ul>${reasons}${own}</ul>
<p>Most often a device keeps trying an old password: a mail program, a phone, a backup. Correct it first, or the ban comes back.</p>
<p>Whom to ask: <strong>${contact}</strong>. Name your address and the time, ${new Date(nowMs).toISOString().slice(0, 16).replace("T", " ")} UTC.</p>`;
}

/** Of a reason only its kind; a jail's name only when it is the fleet's, because a customer's may name the customer. */
function whyOf({ reason, scope }: BanView): string {
  const jail = scope === "fleet" && reason.startsWith("jail ") ? ` (${reason.slice("jail ".length)})` : "";
  if (reason.startsWith("jail ")) return `Too many failed attempts${jail}`;
  if (reason === "spread") return "Failed attempts on many servers";
  if (reason === "votes") return "Several customers' servers reported it";
  if (reason === "network") return "Many addresses of your network attacked";
  return "Banned by hand";
}
