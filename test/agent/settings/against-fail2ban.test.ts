import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { loadSettings } from "../../../agent/settings/load-settings.ts";
import { shellWords } from "../../../agent/settings/shell-words.ts";
import { compare, services } from "./compare-settings.ts";
import { nastyConfigs } from "./nasty-configs.ts";
import { configDir, dumpOf, oracleMissing } from "./oracle.ts";

const skip = oracleMissing() ?? (existsSync("/etc/fail2ban/jail.conf") ? false : "there is no stock configuration");

test("every stock jail resolves to what fail2ban makes of it", { skip }, () => {
  const dir = mkdtempSync(join(tmpdir(), "fleet2ban-stock-"));
  try {
    cpSync("/etc/fail2ban", dir, { recursive: true });
    const actions = [
      "action_",
      "action_mwl",
      "action_xarf",
      "action_cf_mwl",
      "action_blocklist_de",
      "action_abuseipdb",
    ];
    for (const [index, action] of actions.entries()) {
      const backend = index % 2 === 0 ? "auto" : "systemd";
      // Some options only their operators can fill in.
      const keys = "cfemail = a\ncfapikey = b\nblocklist_de_apikey = c\n";
      const local = `[DEFAULT]\nenabled = true\nbackend = ${backend}\naction = %(${action})s\n${keys}`;
      writeFileSync(join(dir, "jail.local"), `${local}[sshd]\nbackend = ${backend}\n`);
      const compared = compare(loadSettings(dir, { services, hasJournal: false }), dumpOf(dir));
      assert.ok(compared > 60, `only ${compared} jails were compared`);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

for (const [rule, files] of Object.entries(nastyConfigs)) {
  test(`as fail2ban reads it: ${rule}`, { skip }, () => {
    using config = configDir({ "fail2ban.conf": "[Definition]\n", "one.log": "", "two.log": "", ...files });
    const compared = compare(loadSettings(config.dir, { services, hasJournal: false }), dumpOf(config.dir));
    assert.ok(compared > 0, "nothing was compared");
  });
}

test("words of a journalmatch are divided as a shell divides them", () => {
  assert.deepEqual(shellWords(`A=1 "B=x y" C='z "w"' D=a\\ b`), ["A=1", "B=x y", `C=z "w"`, "D=a b"]);
});
