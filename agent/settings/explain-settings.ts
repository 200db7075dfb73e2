import { formatDurationMs } from "../../shared/durations.ts";
import type { ActionSettings, JailSettings, JournalPlace, Settings } from "./jail-settings.ts";

/** What `agent check` tells people: every jail with where it looks, when it bans and what is doubtful. */
export function explainSettings(settings: Settings): string {
  const parts = [
    ...settings.jails.map((jail) => explainJail(jail)),
    ...settings.broken.map(({ name, problem }) => `jail ${name}: DOES NOT RUN\n  ${problem}`),
    ...settings.warnings.map((warning) => `warning: ${warning}`),
  ];
  const broken = settings.broken.length === 0 ? "" : `, ${settings.broken.length} broken`;
  return `${[...parts, `${settings.jails.length === 1 ? "1 jail runs" : `${settings.jails.length} jails run`}${broken}`].join("\n\n")}\n`;
}

function explainJail(jail: JailSettings): string {
  const { filter } = jail;
  const within = `${jail.maxRetry} failures within ${formatDurationMs(jail.findTimeMs)}`;
  const patterns = filter.failRegex.length === 1 ? "1 pattern" : `${filter.failRegex.length} patterns`;
  const lines = [
    `jail ${jail.name}`,
    `  filter   ${filter.name}, ${patterns}${filter.ignoreRegex.length > 0 ? `, ${filter.ignoreRegex.length} to ignore` : ""}`,
    ...explainSource(jail).map((source) => `  reads    ${source}`),
    `  bans     ${within}, for ${explainBanTime(jail)}`,
    ...jail.actions.map((action) => `  through  ${explainAction(action)}`),
  ];
  const ignored = [...(jail.ignoreSelf ? ["this machine"] : []), ...jail.ignoreIp];
  if (ignored.length > 0) lines.push(`  spares   ${ignored.join(" ")}`);
  return [...lines, ...jail.warnings.map((warning) => `  warning: ${warning}`)].join("\n");
}

function explainSource(jail: JailSettings): string[] {
  if (jail.source === "file")
    return jail.logPaths.map(({ glob, start }) => (start === "tail" ? `${glob} (tail)` : glob));
  const place = jail.journal === null ? "" : explainJournal(jail.journal);
  if (jail.journalMatches.length === 0) return [`the whole journal${place}`];
  return jail.journalMatches.map((terms) => `journal ${terms.join(" ")}${place}`);
}

function explainJournal({ directory, files, namespace }: JournalPlace): string {
  if (namespace !== null) return ` in the namespace ${namespace}`;
  const where = directory ?? files.join(" ");
  return where === "" ? "" : ` in ${where}`;
}

function explainBanTime(jail: JailSettings): string {
  const { banTimeMs, increment } = jail;
  const first = banTimeMs === null ? "ever" : formatDurationMs(banTimeMs);
  if (increment === null) return first;
  const longest = increment.maxTimeMs === null ? "" : `, at most ${formatDurationMs(increment.maxTimeMs)}`;
  return `${first}, longer each time${longest}`;
}

function explainAction(action: ActionSettings): string {
  if (action.kind === "command") return `commands of "${action.name}", if agent.yaml allows them`;
  const ports = action.ports === null ? "every port" : `port ${action.ports.join(", ")}`;
  return `the firewall (${action.name}), ${ports}${action.verdict === null ? "" : `, ${action.verdict}`}`;
}

/**
 * The same for programs, one value per line of output: each jail, each broken jail, each warning, then a summary.
 * Keys are only ever added. Spans are in milliseconds; null = for ever, every port, or not set.
 */
export function settingsAsJson(settings: Settings): Readonly<Record<string, unknown>>[] {
  return [
    ...settings.jails.map((jail) => ({ kind: "jail", ...jail })),
    ...settings.broken.map(({ name, problem }) => ({ kind: "broken", name, problem })),
    ...settings.warnings.map((warning) => ({ kind: "warning", warning })),
    { kind: "summary", jails: settings.jails.length, broken: settings.broken.length, ok: settings.broken.length === 0 },
  ];
}
