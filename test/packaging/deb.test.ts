import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { version } from "../../shared/version.ts";
import { openScratchMachine, type ScratchMachine, scratchMachineMissing } from "../support/scratch-machine.ts";
import { waitFor } from "../support/wait-for.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const skip = await scratchMachineMissing("dpkg", "dpkg-deb", "nft", "setpriv", "systemd-sysusers");
const folder = mkdtempSync(join(tmpdir(), "fleet2ban-deb-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Not compressed: Node's 120 MB would take ten seconds. @returns the path of the package */
function build(program: "agent" | "server", release: string, place = "debs"): string {
  const args = ["scripts/build-deb.mjs", program, "--out", join(folder, place), "--level", "0", "--version", release];
  execFileSync(process.execPath, args, { cwd: root, stdio: "pipe" });
  const arch = process.arch === "arm64" ? "arm64" : "amd64";
  return join(folder, place, `fleet2ban-${program}_${release.replace("-", "~")}_${arch}.deb`);
}

function must(machine: ScratchMachine, ...command: readonly string[]): string {
  const { code, stdout, stderr } = machine.run(...command);
  assert.equal(code, 0, `${command.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

const dpkg = (machine: ScratchMachine, ...args: readonly string[]) => must(machine, "dpkg", "--force-confold", ...args);
/** Of this name there is a file of ours, a user or a table only while the package is installed. */
const leftovers = (machine: ScratchMachine, name: string) =>
  must(
    machine,
    "sh",
    "-c",
    `find /etc /lib/systemd /usr/lib /usr/bin /usr/share /run /var/lib/${name} -path '*${name}*' 2>/dev/null || true`,
  );

/** The agent as its unit runs it: not root, with one capability. */
function startAgent(machine: ScratchMachine) {
  const user = ["setpriv", "--reuid=fleet2ban", "--regid=fleet2ban", "--init-groups"];
  const capability = ["--inh-caps=+net_admin", "--ambient-caps=+net_admin"];
  const [program = "", ...args] = [...machine.prefix, ...user, ...capability, "fleet2ban-agent", "run"];
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const kill = () => child.kill("SIGKILL");
  process.on("exit", kill);
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  return {
    async started() {
      await waitFor(
        () => {
          if (child.exitCode !== null) throw new Error(said);
          return said.includes('"event":"started"');
        },
        "the installed agent to start",
        60_000,
      );
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await ended;
      process.off("exit", kill);
    },
  };
}

const agentPackage = build("agent", version);

test("the same commit gives the same package", () => {
  const sum = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex");
  assert.equal(sum(agentPackage), sum(build("agent", version, "again")));
});

describe("the agent's package", { skip }, () => {
  test("installs without a ban, keeps its bans and settings over an upgrade, and takes all of its own away", {
    timeout: 180_000,
  }, async () => {
    await using machine = await openScratchMachine();
    assert.match(dpkg(machine, "--install", agentPackage), /does not run yet/);
    assert.equal(must(machine, "nft", "list", "tables"), "", "installing has banned somebody");
    const settings = "configDir: /usr/lib/fleet2ban-agent/built-in\n";
    must(machine, "sh", "-c", `: >> /var/log/auth.log; printf '${settings}' > /etc/fleet2ban/agent.yaml`);
    assert.match(must(machine, "fleet2ban-agent", "check"), /jail sshd/);
    assert.equal(must(machine, "fleet2ban-agent", "--version"), `fleet2ban-agent ${version}\n`);
    assert.equal(must(machine, "/usr/lib/fleet2ban-agent/node", "--version").trim(), process.version);
    must(machine, "nft", "add table inet other; add set inet other kept { type ipv4_addr; }");
    {
      await using agent = startAgent(machine);
      await agent.started();
      must(machine, "fleet2ban-agent", "ban", "sshd", "192.0.2.7");
    }
    dpkg(machine, "--install", build("agent", `${version}9`));
    const banned = () => must(machine, "nft", "list", "table", "inet", "fleet2ban");
    assert.match(banned(), /192\.0\.2\.7/, "an upgrade has lifted a ban");
    assert.equal(must(machine, "cat", "/etc/fleet2ban/agent.yaml"), settings);
    {
      await using agent = startAgent(machine);
      await agent.started();
      assert.match(must(machine, "fleet2ban-agent", "status"), /sshd: 1 banned.*192\.0\.2\.7/);
      const refused = machine.run("fleet2ban-agent", "uninstall");
      assert.deepEqual([refused.code, /stop it first/.test(refused.stderr)], [1, true]);
    }
    dpkg(machine, "--remove", "fleet2ban-agent");
    assert.equal(must(machine, "nft", "list", "tables").trim(), "table inet other");
    assert.equal(machine.run("test", "-f", "/var/lib/fleet2ban-agent/agent.db").code, 0, "remove has lost the state");
    dpkg(machine, "--purge", "fleet2ban-agent");
    assert.equal(leftovers(machine, "fleet2ban-agent"), "");
    assert.equal(machine.run("getent", "passwd", "fleet2ban").code, 2, "the user is still there");
  });

  test("can be removed when its settings cannot be read", { timeout: 60_000 }, async () => {
    await using machine = await openScratchMachine();
    dpkg(machine, "--install", agentPackage);
    must(machine, "nft", "add table inet fleet2ban");
    must(machine, "sh", "-c", "echo 'firewal: auto' > /etc/fleet2ban/agent.yaml");
    dpkg(machine, "--remove", "fleet2ban-agent");
    assert.equal(must(machine, "nft", "list", "tables"), "");
  });
});

test("the coordinator's package runs from where it is installed, says what it needs, and takes all of its own away", {
  skip,
  timeout: 120_000,
}, async () => {
  await using machine = await openScratchMachine();
  assert.match(dpkg(machine, "--install", build("server", version)), /createdb --owner fleet2ban-server/);
  for (const program of ["fleet2ban", "fleet2ban-server"]) {
    assert.equal(must(machine, program, "--version"), `${program} ${version}\n`);
  }
  assert.match(must(machine, "stat", "-c", "%a %U %G", "/etc/fleet2ban/server.yaml"), /^640 root fleet2ban-server$/m);
  const without = machine.run("fleet2ban-server", "--data-dir", "/tmp/nowhere");
  assert.equal(without.code, 69);
  assert.match(without.stderr, /^fleet2ban-server: .*databaseUrl.*\/etc\/fleet2ban\/server.yaml.*\n$/);
  dpkg(machine, "--purge", "fleet2ban-server");
  assert.equal(leftovers(machine, "fleet2ban-server"), "");
  assert.equal(machine.run("getent", "passwd", "fleet2ban-server").code, 2, "the user is still there");
});
