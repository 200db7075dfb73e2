import { html } from "hono/html";
import { formatShort, parseNet } from "../../../shared/address.ts";
import type { BanView } from "../../desk/desk.ts";
import { type Content, type Html, nothing } from "./html.ts";
import type { Column } from "./table.ts";
import { ago, left } from "./time.ts";

export function shortNet(net: string): string {
  const parsed = parseNet(net);
  return parsed === undefined ? net : formatShort(parsed);
}

export const addressPath = (net: string): string => `/address?ip=${encodeURIComponent(shortNet(net))}`;

export function netLink(net: string): Html {
  return html`<a class="net" href="${addressPath(net)}">${shortNet(net)}</a>`;
}

/** As bans are counted by level. */
export function levelName(level: string): string {
  if (level === "feed") return "feeds";
  return level === "manual" ? "by hand" : `level ${level}`;
}

/** Levels have a number and a shade, so that nobody needs the shade. */
export function levelBadge(level: number | null, reason = ""): Html {
  if (level === null && reason.startsWith("feed ")) return html`<span class="badge hand">feed</span>`;
  if (level === null) return html`<span class="badge hand">by hand</span>`;
  return html`<span class="badge level${Math.min(level, 3)}">level ${level}</span>`;
}

export function portsOf(ports: readonly number[] | null): string {
  return ports === null ? "all" : ports.join(", ");
}

export function evidenceOf({ evidence }: Pick<BanView, "evidence">): Content {
  if (evidence.failures === 0) return nothing;
  const tenants = evidence.tenants > 1 ? `, ${evidence.tenants} tenants` : "";
  return `${evidence.failures} on ${evidence.hosts} ${evidence.hosts === 1 ? "host" : "hosts"}${tenants}`;
}

export function banState(ban: BanView, nowMs: number): Html {
  if (ban.endedMs === null) return left(ban.untilMs, nowMs);
  return html`<span class="quiet">${ban.endReason ?? "ended"} ${ago(ban.endedMs, nowMs)}</span>`;
}

export const banColumns: readonly Column[] = [
  { name: "Network" },
  { name: "Level" },
  { name: "Scope" },
  { name: "Why" },
  { name: "Failures" },
  { name: "Ports" },
  { name: "Since" },
  { name: "Left" },
];

export function banCells(ban: BanView, nowMs: number): Content[] {
  return [
    netLink(ban.net),
    levelBadge(ban.level, ban.reason),
    ban.scope,
    ban.level === null ? html`${ban.note ?? ban.reason} <span class="second">${ban.by}</span>` : ban.reason,
    evidenceOf(ban),
    portsOf(ban.ports),
    ago(ban.startedMs, nowMs),
    banState(ban, nowMs),
  ];
}
