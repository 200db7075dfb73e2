import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const packaging = fileURLToPath(new URL("../../agent/packaging", import.meta.url));
const units = readdirSync(packaging).filter((name) => name.endsWith(".service"));
const skip = analyzeMissing();

/** As a virtual machine in a cloud has them: the network comes up before the basic system does. */
const cloud = {
  "networking.service":
    "[Unit]\nDefaultDependencies=no\nAfter=network-pre.target\nBefore=network.target shutdown.target\nConflicts=shutdown.target\n",
  "cloud-init.service":
    "[Unit]\nDefaultDependencies=no\nAfter=networking.service\nBefore=network-online.target sysinit.target shutdown.target\nConflicts=shutdown.target\n",
  "nftables.service":
    "[Unit]\nDefaultDependencies=no\nWants=network-pre.target\nBefore=network-pre.target shutdown.target\nConflicts=shutdown.target\n",
};
const runs = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n";

test("the units are well formed and make no ordering cycle with a cloud's network", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "f2b-units-"));
  try {
    for (const [name, text] of Object.entries(cloud)) writeFileSync(join(folder, name), text + runs);
    for (const name of units) {
      const text = readFileSync(join(packaging, name), "utf8");
      // Its programs and user are not on this machine.
      const here = text
        .replace(/^ExecStart=.*/m, "ExecStart=/bin/true")
        .replace(/^(User|Group|Supplementary\w+)=.*/gm, "");
      writeFileSync(join(folder, name), here);
    }
    // It has a cycle with cloud-init of its own.
    symlinkSync("/dev/null", join(folder, "firewalld.service"));
    const all = [...Object.keys(cloud), ...units, "sysinit.target", "multi-user.target"].join(" ");
    writeFileSync(join(folder, "everything.target"), `[Unit]\nRequires=${all}\n`);
    const { stdout, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", join(folder, "everything.target")], {
      env: { ...process.env, SYSTEMD_UNIT_PATH: `${folder}:` },
      encoding: "utf8",
    });
    const said = `${stdout}${stderr}`.split("\n");
    assert.deepEqual(
      said.filter((line) => /cycle|fleet2ban/i.test(line)),
      [],
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("bans are restored after what flushes the firewall at boot and before the network", () => {
  const text = readFileSync(join(packaging, "fleet2ban-agent-restore.service"), "utf8");
  assert.match(text, /^After=.*\bnftables\.service\b/m);
  assert.match(text, /^Before=.*\bnetwork-pre\.target\b/m);
  assert.match(text, /^Wants=network-pre\.target$/m);
  assert.match(
    readFileSync(join(packaging, "fleet2ban-agent.service"), "utf8"),
    /^Also=fleet2ban-agent-restore\.service$/m,
  );
});

function analyzeMissing(): string | false {
  try {
    execFileSync("systemd-analyze", ["--version"], { stdio: "ignore" });
    return false;
  } catch {
    return "needs systemd-analyze";
  }
}
