import { type ChildProcess, execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestHost } from "./namespaces.ts";
import { waitFor } from "./wait-for.ts";

export const sshPort = 22;
/** What the test needs from Debian's openssh-server, openssh-client, sshpass, rsyslog and util-linux. */
export const sshdPrograms = ["sshd", "ssh", "ssh-keygen", "sshpass", "rsyslogd", "unshare", "ss", "mount"] as const;

/**
 * sshd knows no other place for its lines than /dev/log. So it gets a /dev of its own, in a mount namespace, where that
 * is the socket of a syslog of its own. Nothing of it is seen outside.
 */
const ownDev = `
set -e
socket=$1; dev=$2; shift 2
mkdir "$dev"
mount -t tmpfs none "$dev"
for each in null zero random urandom tty; do touch "$dev/$each"; mount --bind "/dev/$each" "$dev/$each"; done
ln -s "$socket" "$dev/log"
mount --rbind "$dev" /dev
exec "$@"
`;

/**
 * An OpenSSH server in a host's namespace that logs to `logFile`.
 *
 * @param dates  as rsyslog writes them: `traditional` = `Nov 22 09:00:00`, `iso` = RFC 3339
 */
export async function startSshd(
  place: TestHost,
  folder: string,
  logFile: string,
  dates: "traditional" | "iso",
): Promise<AsyncDisposable> {
  await using started = new AsyncDisposableStack();
  mkdirSync(folder, { recursive: true });
  mkdirSync("/run/sshd", { recursive: true });
  const [socket, key, config] = [join(folder, "log"), join(folder, "host-key"), join(folder, "rsyslog.conf")];
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
  const template = dates === "traditional" ? "RSYSLOG_TraditionalFileFormat" : "RSYSLOG_FileFormat";
  writeFileSync(
    config,
    `module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="${socket}")\n` +
      `auth,authpriv.* action(type="omfile" file="${logFile}" template="${template}")\n`,
  );
  const start = (command: readonly string[]) => started.adopt(place.spawn(command, { stdio: "ignore" }), end);
  start(["rsyslogd", "-n", "-f", config, "-i", join(folder, "rsyslogd.pid")]);
  await waitFor(() => existsSync(socket), "rsyslogd's socket");
  const settings = [`Port=${sshPort}`, `HostKey=${key}`, "UsePAM=no", "PasswordAuthentication=yes", "PidFile=none"];
  const sshd = ["/usr/sbin/sshd", "-D", "-f", "/dev/null", ...settings.flatMap((setting) => ["-o", setting])];
  start(["unshare", "-m", "sh", "-c", ownDev, "sh", socket, join(folder, "dev"), ...sshd]);
  await waitFor(async () => (await place.run(["ss", "-ltnH"])).stdout.includes(`:${sshPort} `), "sshd to listen");
  return started.move();
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

/** One login with a wrong password, by the real client. */
export async function failToLogIn(from: TestHost, bind: string, to: string, user: string): Promise<void> {
  const settings = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "PreferredAuthentications=password"];
  const options = [...settings, "NumberOfPasswordPrompts=1", "ConnectTimeout=5"].flatMap((each) => ["-o", each]);
  const command = ["sshpass", "-p", "wrong", "ssh", "-b", bind, ...options, "-p", String(sshPort), `${user}@${to}`];
  const { code, stderr } = await from.run([...command, "true"]);
  if (!/Permission denied/.test(stderr)) throw new Error(`${user}@${to} was not denied (${code}): ${stderr}`);
}
