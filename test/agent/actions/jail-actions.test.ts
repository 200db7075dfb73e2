import assert from "node:assert/strict";
import { test } from "node:test";
import { JailActions } from "../../../agent/actions/jail-actions.ts";
import type { RunShell } from "../../../agent/actions/run-shell.ts";
import type { ActionSettings } from "../../../agent/settings/jail-settings.ts";
import { banOf, noteShell, silentLog } from "./action-support.ts";

const commands = {
  actionstart: "start",
  actionban: "ban <ip> <restored>",
  actionunban: "unban <ip> <F-USER>",
  actionstop: "stop",
};
const action = (name: string, options: Record<string, string> = commands): ActionSettings => ({
  kind: "command",
  name,
  options,
});

function open(actions: readonly ActionSettings[], allowed: readonly string[], shell: RunShell): JailActions {
  const jail = { name: "sshd", actions, numbers: () => ({ banned: 0, found: 0 }) };
  return new JailActions({ jails: [jail], allowed, now: () => 0, log: silentLog, shell });
}

test("only actions that are named run; the others say so", async () => {
  const { ran, shell } = noteShell();
  const actions = open(
    [action("mail"), action("other"), { kind: "firewall", name: "ufw", ports: null, verdict: null }],
    ["mail"],
    shell,
  );
  actions.start();
  actions.ban("sshd", banOf("192.0.2.1"));
  await actions.idle();
  assert.deepEqual(ran, ["start", "ban 192.0.2.1 0"]);
  assert.deepEqual(actions.problems, ["jail sshd: action other does not run here; name it in agent.yaml, actions"]);
  assert.deepEqual(actions.status, { running: ["sshd/mail"], waiting: 0, done: 2, dropped: 0, failed: 0 });
});

test("an unban knows what its ban knew", async () => {
  const { ran, shell } = noteShell();
  const actions = open([action("mail")], ["mail"], shell);
  actions.ban("sshd", banOf("192.0.2.1", { data: new Map([["user", "root"]]) }));
  actions.unban("sshd", "192.0.2.1");
  actions.unban("sshd", "192.0.2.1");
  actions.unban("sshd", "192.0.2.9");
  await actions.idle();
  assert.deepEqual(ran, ["ban 192.0.2.1 0", "unban 192.0.2.1 root"]);
});

test("bans of the last run are made again, unless norestored", async () => {
  const { ran, shell } = noteShell();
  const actions = open(
    [action("one"), action("two", { ...commands, norestored: "1", actionban: "two" })],
    ["one", "two"],
    shell,
  );
  actions.ban("sshd", banOf("192.0.2.1", { restored: true }));
  await actions.idle();
  assert.deepEqual(ran, ["ban 192.0.2.1 1"]);
});

test("a ban that is made longer is told to actionprolong", async () => {
  const { ran, shell } = noteShell();
  const actions = open([action("mail", { actionban: "ban", actionprolong: "prolong <bantime>" })], ["mail"], shell);
  actions.ban("sshd", banOf("192.0.2.1"));
  actions.prolong("sshd", "192.0.2.1", 7_200_000);
  await actions.idle();
  assert.deepEqual(ran, ["ban", "prolong 7200"]);
});

test("whoever was banned before the environment was lost is banned anew when he is seen again", async () => {
  const { ran, shell } = noteShell({ "ban 192.0.2.2": 1, check: 1 });
  const actions = open(
    [action("mail", { actioncheck: "check", actionrepair: "repair", actionban: "ban <ip>" })],
    ["mail"],
    shell,
  );
  actions.ban("sshd", banOf("192.0.2.1"));
  actions.ban("sshd", banOf("192.0.2.2"));
  await actions.idle();
  ran.splice(0);
  for (const id of ["192.0.2.1", "192.0.2.1", "192.0.2.2"]) actions.failedAgain("sshd", id);
  await actions.idle();
  assert.deepEqual(ran, ["ban 192.0.2.1"]);
});

test("commands run one after the other, whatever jail they belong to", async () => {
  let atOnce = 0;
  let most = 0;
  const shell: RunShell = async () => {
    atOnce += 1;
    most = Math.max(most, atOnce);
    await new Promise((resolve) => setImmediate(resolve));
    atOnce -= 1;
    return { ok: true, ending: "", output: "" };
  };
  const actions = open([action("mail"), action("two")], ["mail", "two"], shell);
  for (let index = 0; index < 10; index += 1) actions.ban("sshd", banOf(`192.0.2.${index}`));
  await actions.idle();
  assert.equal(most, 1);
});

test("beyond ten thousand waiting bans new ones are dropped and counted, unbans never", async () => {
  const gate = Promise.withResolvers<void>();
  let ran = 0;
  const shell: RunShell = async () => {
    await gate.promise;
    ran += 1;
    return { ok: true, ending: "", output: "" };
  };
  const actions = open([action("mail")], ["mail"], shell);
  for (let index = 0; index < 10_011; index += 1) actions.ban("sshd", banOf(null, { id: `user${index}` }));
  actions.unban("sshd", "user0");
  assert.equal(actions.status.dropped, 10);
  gate.resolve();
  await actions.idle();
  assert.equal(ran, 10_002);
});

test("at the end each ban is lifted, then the action stops", async () => {
  const { ran, shell } = noteShell();
  {
    await using actions = open([action("mail")], ["mail"], shell);
    for (const net of ["192.0.2.1", "192.0.2.2"]) actions.ban("sshd", banOf(net));
    actions.start();
  }
  assert.deepEqual(ran.slice(2), ["start", "unban 192.0.2.1 ", "unban 192.0.2.2 ", "stop"]);
});
