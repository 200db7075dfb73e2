import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parsePeers, SshSessions } from "../../../agent/firewall/ssh-sessions.ts";
import { formatAddress } from "../../../shared/address.ts";

const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const tcp4 = `${head}   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0102 0:0 garbage
   2: 010200C0:0016 096433C6:D431 01 00000000:00000000 02:00000000 00000000     0        0 2
   3: 010200C0:0050 0A6433C6:D431 01 00000000:00000000 02:00000000 00000000     0        0 3
   4: 010200C0:0016 0B6433C6:D431 06 00000000:00000000 02:00000000 00000000     0        0 4
`;
const tcp6 = `${head}   0: B80D0120000000000000000001000000:0016 B80D0120000000000000000009000000:D431 01 0 0 0 0 0 0
   1: 0000000000000000FFFF0000010200C0:0016 0000000000000000FFFF00000C6433C6:D431 01 0 0 0 0 0 0
`;

test("only established sessions to the SSH port count, IPv4 inside IPv6 included", () => {
  assert.deepEqual(
    parsePeers(tcp4, [22]).map(({ address }) => formatAddress(address)),
    ["198.51.100.9"],
  );
  assert.deepEqual(
    parsePeers(tcp6, [22]).map(({ address }) => formatAddress(address)),
    ["2001:db8::9", "198.51.100.12"],
  );
});

test("sshd may listen on several ports", () => {
  const peers = parsePeers(tcp4, [22, 80]).map(({ address }) => formatAddress(address));
  assert.deepEqual(peers, ["198.51.100.9", "198.51.100.10"]);
});

test("who holds a session for longer than sshd's grace time is protected, and ten minutes after it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "f2b-ssh-"));
  try {
    const files = { tcp4: join(folder, "tcp"), tcp6: join(folder, "missing") };
    writeFileSync(files.tcp4, tcp4);
    const minutes = 60_000;
    const sessions = new SshSessions(async () => ({ ports: [22], graceMs: 120_000 }), files);
    const admin = [{ net: "198.51.100.9", why: "holds an SSH session" }];
    assert.deepEqual(await sessions.read(0), []);
    assert.deepEqual(await sessions.read(150_000), [], "an attacker who is still trying has a connection too");
    assert.deepEqual(await sessions.read(150_001), admin);
    writeFileSync(files.tcp4, head);
    assert.deepEqual(await sessions.read(150_001 + 10 * minutes), admin);
    assert.deepEqual(await sessions.read(150_002 + 10 * minutes), []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("where sshd lets anybody hold a connection for ever, no connection proves an admin, and that is said", async () => {
  const folder = mkdtempSync(join(tmpdir(), "f2b-ssh-"));
  try {
    const files = { tcp4: join(folder, "tcp"), tcp6: join(folder, "missing") };
    writeFileSync(files.tcp4, tcp4);
    const sessions = new SshSessions(async () => ({ ports: [22], graceMs: null }), files);
    await sessions.read(0);
    assert.deepEqual(await sessions.read(9_999_999), []);
    assert.match(sessions.problem ?? "", /LoginGraceTime 0/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
