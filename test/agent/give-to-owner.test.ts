import assert from "node:assert/strict";
import { chownSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { saveCredentials } from "../../agent/fleet/credentials.ts";
import { openStore } from "../../agent/store/open-store.ts";
import { silentLog } from "./actions/action-support.ts";

const nobody = 65_534;

test("what root writes into the state directory belongs to the user of the service", {
  skip: process.getuid?.() === 0 ? false : "needs root to give files away",
}, () => {
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-owner-"));
  try {
    chownSync(folder, nobody, nobody);
    using store = openStore(folder, silentLog);
    store.purge(Date.now());
    const credentials = {
      v: 1,
      url: "nats://192.0.2.1:4222",
      ca: null,
      orderKey: "k",
      host: "h",
      tenant: "t",
    } as const;
    saveCredentials(join(folder, "agent.credentials"), { ...credentials, seed: "s", jwt: "j" });
    const files = readdirSync(folder);
    assert.ok(files.includes("agent.db") && files.includes("agent.lock") && files.includes("agent.credentials"));
    for (const file of files) {
      const { uid, mode } = statSync(join(folder, file));
      assert.deepEqual([uid, mode & 0o077], [nobody, 0], file);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
