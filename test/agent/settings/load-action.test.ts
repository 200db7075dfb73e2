import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePorts, readServicePorts } from "../../../agent/settings/service-ports.ts";
import { loadOne, services } from "./load-support.ts";

const iptables = {
  "action.d/iptables-multiport.conf":
    "[Definition]\ntype = multiport\nactionban = x <port>\n[Init]\nport = ssh\nblocktype = REJECT --with x\n[Init?family=inet6]\nblocktype = REJECT\n",
  "action.d/iptables-allports.conf": "[Definition]\ntype = allports\n[Init]\nport = ssh\nblocktype = DROP\n",
};

for (const [action, ports, verdict] of [
  ["iptables-multiport", [22], "reject"],
  ['iptables-multiport[port="ssh,2222", blocktype=DROP]', [22, 2222], "drop"],
  ['iptables-multiport[port="0:65535"]', null, "reject"],
  ["iptables-multiport[type=allports]", null, "reject"],
  ["iptables-allports", null, "drop"],
  ["nftables-multiport[port=ssh]", [22], null],
  ["ufw[port=ssh, blocktype=reject]", null, "reject"],
  ['firewallcmd-ipset[port=ssh, actiontype="<allports>", allports=any]', null, null],
  ["shorewall[blocktype=logdrop]", null, null],
  ["route[blocktype=blackhole]", null, "drop"],
] as const) {
  test(`our firewall does what this action asks for: ${action}`, () => {
    const [name] = action.split("[");
    const [found, ...more] = loadOne(`action = ${action}\n`, iptables).actions;
    assert.deepEqual(more, []);
    assert.deepEqual(found, { kind: "firewall", name, ports, verdict });
  });
}

test("an action of the operator's own stays a command with all its options", () => {
  const jail = loadOne("maxretry = 4\naction = mail[dest=me]\n", {
    "action.d/mail.conf":
      "[Definition]\nactionban = send <dest> <ip> <maxretry> <sort> <name> <bantime> <matches>\n[Init]\nsort = four\n[Init?family=inet6]\nsort = six\n",
  });
  assert.deepEqual(jail.actions, [
    {
      kind: "command",
      name: "mail",
      options: {
        actionban: "send me <ip> 4 <sort> a <bantime> <matches>",
        dest: "me",
        actname: "mail",
        name: "a",
        sort: "four",
        "sort?family=inet6": "six",
      },
    },
  ]);
});

test("a Python action is left out with a sentence, and the jail runs", () => {
  const jail = loadOne("action = smtp.py[dest=me]\n  ufw\n");
  assert.deepEqual(
    jail.actions.map((action) => action.name),
    ["ufw"],
  );
  assert.match(jail.warnings.join("\n"), /\[a\] action: "smtp\.py" is a Python plug-in.*left out/);
});

test("ports that cannot be listed become every port, with a warning", () => {
  assert.deepEqual(parsePorts("ssh, 8080:8082", services).ports, null);
  assert.match(parsePorts("ssh, 8080:8082", services).warning ?? "", /range "8080:8082"/);
  assert.match(parsePorts("nosuch", services).warning ?? "", /"nosuch" is unknown/);
  assert.match(parsePorts("0", services).warning ?? "", /"0" is unknown/);
  const many = Array.from({ length: 33 }, (_, index) => index + 1).join(",");
  assert.match(parsePorts(many, services).warning ?? "", /more than 32/);
  assert.deepEqual(
    parsePorts(
      "ftp-data,ssh",
      new Map([
        ["ftp-data", 20],
        ["ssh", 22],
      ]),
    ),
    { ports: [20, 22] },
  );
});

test("common services have their ports where the system has no list", () => {
  const ports = readServicePorts("/nonexistent");
  assert.deepEqual([ports.get("ssh"), ports.get("imaps"), ports.get("submission")], [22, 993, 587]);
});
