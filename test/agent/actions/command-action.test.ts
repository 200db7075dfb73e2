import assert from "node:assert/strict";
import { test } from "node:test";
import { actionOf, banOf, noteShell } from "./action-support.ts";

const four = banOf("192.0.2.1");
const six = banOf("2001:db8::1");

test("without families an action starts with the jail and stops once", async () => {
  const { ran, shell } = noteShell();
  const action = actionOf(
    { actionstart: "start", actionban: "ban <ip>", actionunban: "unban <ip>", actionstop: "stop" },
    shell,
  );
  await action.start();
  for (const ban of [four, six]) await action.ban(ban);
  await action.unban(four);
  assert.equal(await action.flush(), false);
  await action.stop();
  assert.deepEqual(ran, ["start", "ban 192.0.2.1", "ban 2001:db8::1", "unban 192.0.2.1", "stop"]);
});

test("with families it starts with the first ban of each", async () => {
  const { ran, shell } = noteShell();
  const options = {
    actionstart: "start <tool>",
    actionban: "<tool> <ip>",
    tool: "4",
    "tool?family=inet6": "6",
    actionstop: "stop <tool>",
  };
  const action = actionOf(options, shell);
  await action.start();
  for (const ban of [six, six, four]) await action.ban(ban);
  await action.stop();
  assert.deepEqual(ran, ["start 6", "6 2001:db8::1", "6 2001:db8::1", "start 4", "4 192.0.2.1", "stop 6", "stop 4"]);
});

test("families that share a command run it once", async () => {
  const { ran, shell } = noteShell();
  const action = actionOf({ actionstart: "start", actionban: "<tool>", tool: "4", "tool?family=inet6": "6" }, shell);
  for (const ban of [six, four]) await action.ban(ban);
  assert.deepEqual(ran, ["start", "6", "4"]);
});

test("actionstart_on_demand decides when it is written", async () => {
  const { ran, shell } = noteShell();
  const action = actionOf({ actionstart: "start", actionban: "ban", actionstart_on_demand: "true" }, shell);
  await action.start();
  assert.deepEqual(ran, []);
  await action.ban(four);
  assert.deepEqual(ran, ["start", "ban"]);
});

test("a ban whose environment is gone is made after a restart", async () => {
  const { ran, shell } = noteShell({ ban: 1, check: 1 });
  const action = actionOf({ actionstart: "start", actioncheck: "check", actionban: "ban", actionstop: "stop" }, shell);
  await action.start();
  await action.ban(four);
  assert.deepEqual(ran, ["start", "ban", "check", "stop", "start", "check", "ban"]);
  assert.equal(action.repairs, 1);
});

test("a repair command comes before stop and start", async () => {
  const { ran, shell } = noteShell({ ban: 1, check: 1 });
  const action = actionOf(
    { actionstart: "start", actioncheck: "check", actionrepair: "repair", actionban: "ban" },
    shell,
  );
  await action.start();
  await action.ban(four);
  assert.deepEqual(ran, ["start", "ban", "check", "repair", "check", "ban"]);
});

test("a failing ban in a sound environment is tried twice, an unban repairs nothing", async () => {
  const { ran, shell } = noteShell({ ban: 2, unban: 2, check: 0 });
  const action = actionOf({ actioncheck: "check", actionban: "ban", actionunban: "unban" }, shell);
  await action.ban(four);
  assert.deepEqual(ran.splice(0), ["ban", "check", "ban"]);
  assert.equal(action.failures, 2);
  await action.ban(four);
  const broken = noteShell({ unban: 1, check: 1 });
  const other = actionOf(
    { actioncheck: "check", actionban: "ban", actionunban: "unban", actionstop: "stop" },
    broken.shell,
  );
  await other.ban(four);
  await other.unban(four);
  assert.deepEqual(broken.ran, ["ban", "unban", "check"]);
});

test("nothing is lifted where nothing was banned", async () => {
  const { ran, shell } = noteShell({ ban: 9 });
  const action = actionOf({ actionban: "ban", actionunban: "unban", actionflush: "flush" }, shell);
  await action.ban(four);
  await action.unban(four);
  assert.equal(await action.flush(), true);
  assert.deepEqual(ran, ["ban"]);
});

test("actionflush lifts all bans of every family that has some", async () => {
  const { ran, shell } = noteShell();
  const action = actionOf(
    { actionban: "ban <ip>", actionflush: "flush <family>", x: "4", "x?family=inet6": "6" },
    shell,
  );
  for (const ban of [four, six]) await action.ban(ban);
  assert.equal(await action.flush(), true);
  await action.unban(four);
  assert.deepEqual(ran, ["ban 192.0.2.1", "ban 2001:db8::1", "flush inet4", "flush inet6"]);
});

test("the ban again is actionreban where there is one", async () => {
  const { ran, shell } = noteShell();
  await actionOf({ actionban: "ban", actionreban: "again" }, shell).banAgain(four);
  await actionOf({ actionban: "ban" }, shell).banAgain(four);
  assert.deepEqual(ran, ["again", "ban"]);
});
