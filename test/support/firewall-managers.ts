import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { commandRunner, type RunCommand } from "../../agent/firewall/run-command.ts";
import type { TestHost } from "./namespaces.ts";

/** ufw inside the namespace, with a copy of its files bound over those of the machine. */
export function privateUfw(host: TestHost, folder: string): RunCommand {
  cpSync("/etc/ufw", folder, { recursive: true });
  execFileSync("chown", ["-R", "root:root", folder]);
  const bind = 'mount --bind "$0" /etc/ufw && exec "$@"';
  return commandRunner([...host.prefix, "unshare", "--mount", "sh", "-c", bind, folder]);
}

const busSettings = (
  folder: string,
) => `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=${folder}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>
`;

/** firewalld in the namespace on a bus of its own, with its files in a folder bound over those of the machine. */
export async function startFirewalld(host: TestHost, folder: string, started: ChildProcess[]): Promise<RunCommand> {
  writeFileSync(join(folder, "bus.conf"), busSettings(folder));
  const files = join(folder, "etc");
  cpSync("/etc/firewalld", files, { recursive: true });
  started.push(
    spawn("dbus-daemon", [`--config-file=${folder}/bus.conf`, "--nofork", "--nopidfile"], { stdio: "ignore" }),
  );
  const bind = 'mount --bind "$0" /etc/firewalld && exec "$@"';
  const environment = ["env", `DBUS_SYSTEM_BUS_ADDRESS=unix:path=${folder}/bus`];
  const prefix = [...host.prefix, ...environment, "unshare", "--mount", "sh", "-c", bind, files];
  const run = commandRunner(prefix);
  const [program = "", ...args] = [...prefix, "firewalld", "--nofork", "--nopid"];
  const deadlineMs = performance.now() + 30_000;
  await until(deadlineMs, async () => (await run(["test", "-S", `${folder}/bus`])).code === 0);
  started.push(spawn(program, args, { stdio: "ignore" }));
  await until(deadlineMs, async () => (await run(["firewall-cmd", "--state"])).code === 0);
  return run;
}

async function until(deadlineMs: number, holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) {
    assert(performance.now() < deadlineMs, "firewalld did not start in 30 s");
    await pause(50);
  }
}
