import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Debian's own Python: other interpreters on the machine do not see its packages. */
const python = "/usr/bin/python3";
const packageDirectory = "/usr/lib/python3/dist-packages/fail2ban";

/** Why tests against the real fail2ban cannot run here, or false. */
export const withoutFail2ban: string | false =
  existsSync(python) && existsSync(packageDirectory)
    ? false
    : `fail2ban is not installed as ${packageDirectory}: apt-get install fail2ban`;

/** Directory of fail2ban's annotated sample logs. */
export const sampleLogDirectory = `${packageDirectory}/tests/files/logs`;

/** Runs a Python script with `input` as JSON on its standard input; returns the JSON value it prints. */
export function askFail2ban(script: string, input: unknown, timezone: string): unknown {
  const result = spawnSync(python, ["-c", script], {
    input: JSON.stringify(input),
    encoding: "utf8",
    env: { PATH: "/usr/bin:/bin", TZ: timezone, PYTHONPATH: "/usr/lib/python3/dist-packages", LC_ALL: "C.UTF-8" },
    maxBuffer: 256 * 1024 * 1024,
    timeout: 120_000,
  });
  if (result.status !== 0) throw new Error(`python ended with ${result.status}: ${result.stderr.slice(-2000)}`);
  return JSON.parse(result.stdout);
}
