import { html } from "hono/html";
import type { PolicyTrial, TrialBan } from "../../desk/policy-views.ts";
import { levelBadge, netLink } from "./ban-cells.ts";
import { figures } from "./figure.ts";
import { type Content, type Html, nothing } from "./html.ts";
import { count, table } from "./table.ts";
import { clock } from "./time.ts";

/** What a policy would have done with what was recorded, beside the one in force. */
export function trial(outcome: PolicyTrial): Html {
  const { days, failures, bansBefore, bansAfter, adds, removes, changes, truncated } = outcome;
  const numbers = figures([
    { name: "Bans it adds", value: count(adds.count), mood: adds.count > bansBefore ? "bad" : "plain" },
    { name: "Bans it drops", value: count(removes.count) },
    { name: "Bans it changes", value: count(changes.count), note: "another level or length" },
    { name: "Bans in all", value: `${count(bansBefore)} → ${count(bansAfter)}` },
  ]);
  const cut = truncated ? html` Older ones were left out: there are more than a trial looks at.` : nothing;
  return html`<h2>On the last ${days} days: ${count(failures)} failures</h2>${cut}${numbers}
${group("Bans it adds", adds.count, adds.first)}
${group("Bans it drops", removes.count, removes.first)}
${changed(changes)}`;
}

function group(title: string, total: number, first: readonly TrialBan[]): Html {
  if (total === 0) return nothing;
  const rows = first.map((ban, index) => ({ id: `${title}-${index}`, cells: cells(ban) }));
  return html`<section class="card"><h2>${title}${total > first.length ? `: the first ${first.length} of ${count(total)}` : ""}</h2>${table(columns, rows, { caption: title, empty: nothing })}</section>`;
}

const columns = [{ name: "When" }, { name: "Network" }, { name: "Level" }, { name: "Scope" }, { name: "Why" }];

function cells(ban: TrialBan): Content[] {
  return [clock(ban.atMs), netLink(ban.net), levelBadge(ban.level), ban.scope, ban.reason];
}

function changed({ count: total, first }: PolicyTrial["changes"]): Html {
  if (total === 0) return nothing;
  const rows = first.map(({ before, after }, index) => ({
    id: `changed-${index}`,
    cells: [
      clock(after.atMs),
      netLink(after.net),
      html`${levelBadge(before.level)} → ${levelBadge(after.level)}`,
      after.scope,
      after.reason,
    ],
  }));
  return html`<section class="card"><h2>Bans it changes</h2>${table(columns, rows, { caption: "Bans it changes", empty: nothing })}</section>`;
}
