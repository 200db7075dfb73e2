import assert from "node:assert/strict";
import { test } from "node:test";
import { besideText, findManagers } from "../../../agent/firewall/managers.ts";

const machine = (files: Readonly<Record<string, string>>) => async (file: string) => {
  const text = files[file];
  if (text === undefined) throw new Error("no such file");
  return text;
};

test("others that change the firewall are found by what they leave on disk, and an inactive ufw is not one", async () => {
  assert.deepEqual(await findManagers(machine({})), []);
  assert.deepEqual(await findManagers(machine({ "/etc/ufw/ufw.conf": "ENABLED=no\n" })), []);
  const files = { "/etc/ufw/ufw.conf": "# x\nENABLED=yes\n", "/run/docker.pid": "1", "/run/firewalld.pid": "" };
  assert.deepEqual(await findManagers(machine(files)), ["ufw", "firewalld", "Docker"]);
});

test("the operator is told that their lists do not show our bans, except the one that holds them", () => {
  assert.equal(besideText("nftables", []), undefined);
  assert.equal(besideText("ufw", ["ufw"]), undefined);
  assert.equal(besideText("nftables", ["ufw"]), "ufw: bans hold beside it, and it does not show them");
  assert.equal(
    besideText("ufw", ["ufw", "Docker", "fail2ban"]),
    "Docker, fail2ban: bans hold beside them, and they do not show them",
  );
});
