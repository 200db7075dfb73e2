import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseSshdSettings, readSshdSettings } from "../../../agent/firewall/sshd-settings.ts";

test("ports and grace time are read as sshd does: ports add up, of the grace times the first counts", () => {
  for (const [texts, ports, graceMs] of [
    [[], [22], 120_000],
    [["#Port 2222\n"], [22], 120_000],
    [["Port 2222\nport=22\n", "Port 2022\nLoginGraceTime 1m30s\n"], [2222, 22, 2022], 90_000],
    [["LoginGraceTime 30\n", "LoginGraceTime 2h\n"], [22], 30_000],
    [["LoginGraceTime 0\n", "LoginGraceTime 2m\n"], [22], null],
    [
      ["ListenAddress 192.0.2.1:2201\nListenAddress [2001:db8::1]:2202\nListenAddress 192.0.2.2\n"],
      [2201, 2202],
      120_000,
    ],
    [["Port 99999\nLoginGraceTime soon\n"], [22], 120_000],
    [["Port 2222\nMatch User backup\n  LoginGraceTime 0\n"], [2222], 120_000],
  ] as const) {
    assert.deepEqual(parseSshdSettings(texts), { ports, graceMs }, texts.join());
  }
});

test("files of sshd_config.d come before sshd_config, and missing ones are no mistake", async () => {
  const folder = mkdtempSync(join(tmpdir(), "f2b-sshd-"));
  try {
    const file = join(folder, "sshd_config");
    assert.deepEqual(await readSshdSettings(file), { ports: [22], graceMs: 120_000 });
    mkdirSync(`${file}.d`);
    writeFileSync(join(`${file}.d`, "50-cloud.conf"), "LoginGraceTime 10\n");
    writeFileSync(join(`${file}.d`, "50-cloud.conf.bak"), "Port 1\n");
    writeFileSync(file, "Port 2222\nLoginGraceTime 20\n");
    assert.deepEqual(await readSshdSettings(file), { ports: [2222], graceMs: 10_000 });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
