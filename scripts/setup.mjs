// Brings a fresh Debian or Ubuntu machine to where `npm run demo` and `npm test` can run. Plain JavaScript, because it
// must also run on the Node that came with npm. As root it installs what is missing; as a user it names it and exits 69.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";

const unavailable = 69;
const nodeMajorNeeded = 24;

/** What each purpose needs: the command that must be found, and the Debian package that brings it. */
const needs = {
  run: [
    ["nats-server", "nats-server"],
    ["nft", "nftables"],
    ["ip", "iproute2"],
    ["openssl", "openssl"],
  ],
  test: [
    ["nats-server", "nats-server"],
    ["nft", "nftables"],
    ["ip", "iproute2"],
    ["openssl", "openssl"],
    ["conntrack", "conntrack"],
    ["ipset", "ipset"],
    ["iptables", "iptables"],
    ["sshd", "openssh-server"],
    ["ssh", "openssh-client"],
    ["sshpass", "sshpass"],
    ["rsyslogd", "rsyslog"],
    ["fail2ban-client", "fail2ban"],
    ["ufw", "ufw"],
    ["firewalld", "firewalld"],
    ["dbus-daemon", "dbus-daemon"],
    ["chromium", "chromium"],
    ["/lib/systemd/systemd-journal-remote", "systemd-journal-remote"],
  ],
};
/** Without root the firewall is only observed and the tests that need the rest are skipped, so this is all a user must have. */
const neededAsUser = new Set(["nats-server"]);

const purpose = process.argv[2] === "test" ? "test" : "run";
checkNode();
const isRoot = process.getuid?.() === 0;
const missing = needs[purpose].filter(([command]) => (isRoot || neededAsUser.has(command)) && !isFound(command));
if (missing.length > 0) provide([...new Set(missing.map(([, debianPackage]) => debianPackage))]);

function checkNode() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= nodeMajorNeeded) return;
  fail(
    `fleet2ban needs Node ${nodeMajorNeeded}, this is ${process.version}: run it through npm after a plain \`npm ci\` ` +
      "(it brings Node 24 as an optional dependency; do not pass --omit=optional)",
  );
}

function isFound(command) {
  if (command.includes("/")) return existsSync(command);
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin", "/usr/local/sbin"];
  return folders.some((folder) => folder !== "" && existsSync(`${folder}/${command}`));
}

function provide(packages) {
  const install = `apt-get install -y --no-install-recommends ${packages.join(" ")}`;
  if (!isRoot) fail(`missing on this machine: run \`sudo ${install}\``);
  if (!isFound("apt-get"))
    fail(`missing on this machine: ${packages.join(", ")}; install them with your package manager`);
  console.error(`fleet2ban setup: installing ${packages.join(", ")}`);
  // No package may start a daemon: an sshd, a fail2ban or a second nats-server nobody asked for.
  const policy = "/usr/sbin/policy-rc.d";
  const policyIsOurs = !existsSync(policy);
  if (policyIsOurs) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    if (!apt(install)) {
      apt("apt-get update");
      if (!apt(install))
        fail(`could not install ${packages.join(", ")}: run \`apt-get update && ${install}\` and read what apt says`);
    }
  } finally {
    if (policyIsOurs) rmSync(policy, { force: true });
  }
}

function apt(command) {
  const [program, ...args] = command.split(" ");
  const result = spawnSync(program, ["-q", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
  });
  if (result.status !== 0) console.error((result.stderr ?? "").trim().split("\n").slice(-3).join("\n"));
  return result.status === 0;
}

function fail(sentence) {
  console.error(sentence);
  process.exit(unavailable);
}
