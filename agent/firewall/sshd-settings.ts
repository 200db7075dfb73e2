import { readdirSync } from "node:fs";
import { join } from "node:path";
import { readText } from "./self-addresses.ts";

/** What must be known of sshd to tell an admin's session from an attacker's connection. */
export type SshdSettings = Readonly<{
  ports: readonly number[];
  /** sshd cuts who has not logged in by then; null = never. */
  graceMs: number | null;
}>;

const configFile = "/etc/ssh/sshd_config";
const unitMs: Readonly<Record<string, number>> = {
  "": 1000,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
/** sshd's own. Source: sshd_config(5). */
const defaults = { port: 22, graceMs: 120_000 } as const;

/** Reads sshd_config and what Debian includes from sshd_config.d; what cannot be read counts as not set. */
export async function readSshdSettings(file: string = configFile): Promise<SshdSettings> {
  const folder = `${file}.d`;
  const included = namesIn(folder)
    .filter((name) => name.endsWith(".conf"))
    .toSorted();
  const texts = [...included.map((name) => join(folder, name)), file].map(readText);
  return parseSshdSettings(texts.map((text) => text ?? ""));
}

/** @param texts  in the order in which sshd reads them: of a setting that is there twice the first counts, ports add up */
export function parseSshdSettings(texts: readonly string[]): SshdSettings {
  const ports = new Set<number>();
  let graceMs: number | null | undefined;
  for (const text of texts) {
    // What follows a Match holds for some sessions only.
    const [everywhere = ""] = text.split(/^\s*match\s/im);
    for (const [, name = "", value = ""] of everywhere.matchAll(
      /^\s*(port|listenaddress|logingracetime)[\s=]+(\S+)/gim,
    )) {
      const word = name.toLowerCase();
      if (word === "logingracetime") graceMs = graceMs === undefined ? readSpan(value) : graceMs;
      else {
        const port = Number(word === "port" ? value : (/^(?:\[[^\]]*\]|[^:]*):(\d+)$/.exec(value)?.[1] ?? 0));
        if (Number.isInteger(port) && port > 0 && port < 65_536) ports.add(port);
      }
    }
  }
  return {
    ports: ports.size === 0 ? [defaults.port] : [...ports],
    graceMs: graceMs === undefined ? defaults.graceMs : graceMs,
  };
}

/** `2m30s` in milliseconds; 0 = without end; what is no span is not set. */
function readSpan(text: string): number | null | undefined {
  if (!/^(\d+[smhdw]?)+$/i.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+)([smhdw]?)/gi)];
  const ms = parts.reduce((sum, [, digits, unit = ""]) => sum + Number(digits) * (unitMs[unit.toLowerCase()] ?? 0), 0);
  return ms === 0 ? null : ms;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
