import { execFile } from "node:child_process";
import { reverse } from "node:dns/promises";
import { hostname } from "node:os";
import { promisify } from "node:util";
import { secondMs } from "../../shared/durations.ts";
import { mentions } from "./fill-tags.ts";

/** A resolver that hangs must not hold up a ban's other actions for longer. */
const lookUpTimeoutMs = 5 * secondMs;

let fullName: Promise<string> | undefined;

/** Adds the values that cost a look-up, only where the command asks for them. */
export async function addLookedUp(values: Map<string, string>, command: string, net: string | null): Promise<void> {
  if (mentions(command, "sh-hostname")) values.set("sh-hostname", hostname());
  if (mentions(command, "fq-hostname")) values.set("fq-hostname", await fullHostName());
  if (mentions(command, "ip-host")) values.set("ip-host", net === null ? "" : await nameOf(net));
}

/** With its domain; asked once, because it does not change while a host runs. */
function fullHostName(): Promise<string> {
  fullName ??= promisify(execFile)("hostname", ["--fqdn"], { timeout: lookUpTimeoutMs }).then(
    ({ stdout }) => stdout.trim() || hostname(),
    () => hostname(),
  );
  return fullName;
}

/** Whoever owns the address chooses this name: it is text like any other from outside. */
async function nameOf(net: string): Promise<string> {
  const timeout = Promise.withResolvers<readonly string[]>();
  const timer = setTimeout(() => timeout.resolve([]), lookUpTimeoutMs);
  const names = await Promise.race([reverse(net).catch(() => []), timeout.promise]);
  clearTimeout(timer);
  return names[0] ?? "";
}
