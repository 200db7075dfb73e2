import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { serve } from "@hono/node-server";
import { commands } from "../../../server/cli/commands.ts";
import { runCommand } from "../../../server/cli/run-command.ts";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import { runProgram } from "../../support/program.ts";
import { openPublisher, plain } from "../feeds/publisher.ts";
import { type ApiArena, openApi } from "../http/open-api.ts";
import { batchOf, failuresOf } from "../ingest/arena.ts";

let api: ApiArena;
let server: ReturnType<typeof serve>;
let url = "";
const dir = mkdtempSync(join(tmpdir(), "fleet2ban-cli-"));

before(async () => {
  api = await openApi({ default: ["h1", "h2"], acme: ["web-1"] });
  const port = await new Promise<number>((resolve) => {
    server = serve({ fetch: api.app.fetch, hostname: "127.0.0.1", port: 0 }, (address) => resolve(address.port));
  });
  url = `http://127.0.0.1:${port}`;
});
after(async () => {
  if ("closeAllConnections" in server) server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await api[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

const environment = () => ({ FLEET2BAN_SERVER: url, FLEET2BAN_TOKEN: api.token("admin@fleet") });

/** Runs the command as in a script, without a terminal, but in this process: a hundred others would take a minute. */
async function run(...args: string[]) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const [out, err] = [text(stdout), text(stderr)];
  const code = await runCommand(args, { stdin, stdout, stderr, env: environment() });
  for (const stream of [stdin, stdout, stderr]) stream.end();
  return { code, stdout: await out, stderr: await err };
}

async function says(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  assert.equal(code, 0, `fleet2ban ${args.join(" ")}: ${stderr}`);
  return stdout;
}

async function values<T>(...args: string[]): Promise<T[]> {
  const text = await says(...args, "--json");
  return text
    .trimEnd()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}

test("ban, bans, banned, explain and unban tell one story", async () => {
  assert.match(
    await says("ban", "192.0.2.1", "--time", "1h", "--reason", "scans"),
    /192\.0\.2\.1 +fleet +- +all +\S+ +0 +0 +admin/,
  );
  assert.match(await says("bans"), /^ID +NET +SCOPE/);
  assert.equal(await says("banned"), "192.0.2.1\n");
  assert.equal(await says("banned", "192.0.2.1"), "192.0.2.1 admin\n");
  assert.match(await says("explain", "192.0.2.1"), /^192\.0\.2\.1 is banned \(fleet, on every port\)/);
  assert.match(
    await says("unban", "192.0.2.1", "--dry-run"),
    /^would lift ban 1 on 192\.0\.2\.1, and remove it from 3\/3 hosts$/m,
  );
  assert.equal(await says("banned"), "192.0.2.1\n");
  const [receipt] = await values<{ lifted: number[]; waiting: string[] }>(
    "unban",
    "192.0.2.1",
    "--reason",
    "false-positive",
  );
  assert.deepEqual([receipt?.lifted, receipt?.waiting], [[1], ["h1", "h2", "web-1"]]);
  assert.equal(await says("banned"), "");
});

test("what is wide is not done unless somebody says so", async () => {
  const wide = ["ban", "198.51.100.0/24", "--time", "1h", "--reason", "x"];
  const refused = await run(...wide);
  assert.equal(refused.code, 64);
  assert.match(
    refused.stderr,
    /Ban the whole network 198\.51\.100\.0\/24 \(fleet\)\? Nobody is here to ask: repeat it with --yes/,
  );
  await says(...wide, "--yes");
  assert.equal((await run("unban", "--all")).code, 64);
  assert.equal(await says("unban", "--all", "--dry-run"), "would lift 1 ban (by hand: 1)\n");
  assert.equal(await says("unban", "--all", "--yes"), "lifted 1 ban\nfleet: gone on 0/3 hosts so far\n");
  for (const args of [
    ["hosts", "revoke", "h1"],
    ["policy", "revert"],
    ["never", "192.0.2.7", "--reason", "x"],
  ]) {
    assert.equal((await run(...args)).code, 64, args.join(" "));
  }
});

test("what is too wide for one admin waits for another one, and says so", async () => {
  const asked = await says("ban", "203.0.0.0/16", "--time", "1h", "--reason", "a botnet's home", "--yes");
  assert.match(asked, /^NOT DONE YET: .*limits\.widestBan.*\n.*fleet2ban approvals approve 1\n$/);
  assert.match(await says("approvals"), /^ID .*\n1 +ban +203\.0\.0\.0\/16 +fleet +1h +admin of fleet /);
  const own = await run("approvals", "approve", "1");
  assert.deepEqual(
    [own.code, own.stderr],
    [1, "fleet2ban: you asked for 1 yourself; a second admin must approve it\n"],
  );
  assert.equal(await says("approvals", "reject", "1", "--reason", "changed my mind"), "rejected 203.0.0.0/16\n");
  assert.equal(await says("approvals"), "nothing waits\n");
});

test("several addresses are asked about and lifted with one command, as fail2ban-client does", async () => {
  for (const net of ["192.0.2.31", "192.0.2.32", "192.0.2.33"]) await says("ban", net, "--time", "1h", "--reason", "x");
  assert.equal(await says("banned", "192.0.2.31", "192.0.2.33"), "192.0.2.31 admin\n192.0.2.33 admin\n");
  const lifted = await says("unban", "192.0.2.31", "192.0.2.32", "192.0.2.33");
  assert.equal(lifted.split("\n").length, 4);
  assert.equal(await says("banned"), "");
});

test("what is kept about an address is copied, and then erased", async () => {
  await says("ban", "192.0.2.66", "--time", "1h", "--reason", "x");
  const kinds = (await says("records", "192.0.2.66"))
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { kind: string }).kind);
  assert.deepEqual(kinds, ["ban", "order", "audit"]);
  const asked = ["erase", "192.0.2.66", "--reason", "a letter"];
  assert.match(
    await says(...asked, "--dry-run"),
    /^would erase of 192\.0\.2\.66: 0 failures, 0 counts of days, 1 bans,/,
  );
  assert.equal((await run(...asked)).code, 64, "nobody is here to ask");
  assert.match(await says(...asked, "--yes"), /^erased of 192\.0\.2\.66: 0 failures, 0 counts of days, 1 bans,/);
  assert.equal(await says("banned", "192.0.2.66"), "");
  const tooFine = await run("erase", "2001:db8::1", "--reason", "x", "--yes");
  assert.match(tooFine.stderr, /IPv6 is counted by \/64; ask for 2001:db8::\/64/);
  const tooWide = await run("erase", "198.51.0.0/16", "--reason", "x", "--yes");
  assert.match(tooWide.stderr, /wider than \/24; erase its parts one by one/);
});

test("ping and version answer as fail2ban-client's do", async () => {
  assert.equal(await says("ping"), "pong: admin of fleet, admin of the whole fleet\n");
  assert.match(await says("version"), /^coordinator test, fleet2ban \d/);
});

test("every command's help names the command, every option and every word", async () => {
  for (const [name, { help, words = [] }] of Object.entries(commands)) {
    const text = await says(name, "--help");
    assert.match(text, new RegExp(`^usage: fleet2ban ${name}\\b`));
    for (const option of Object.keys(help.options)) assert.ok(text.includes(`--${option}`), `${name} --${option}`);
    for (const word of words) assert.ok(text.includes(word), `${name} ${word}`);
  }
});

test("the words of fail2ban-client mean what they mean there, on the whole fleet", async () => {
  await commitBatches(api.arena.writer, [
    batchOf("h1", 1, { failures: failuresOf("203.0.113.1", 2, api.arena.nowMs) }),
    batchOf("h2", 1, { failures: failuresOf("203.0.113.1", 1, api.arena.nowMs) }),
  ]);
  const status = await says("status", "sshd");
  assert.match(status, /Failed in the last hour: 3\n.*On hosts: +2/s);
  assert.match(status, /Currently banned: +1\n.*Banned IP list: +203\.0\.113\.1\n/s);
  assert.equal(await says("get", "sshd", "banip"), "203.0.113.1\n");
  assert.equal(await says("get", "sshd", "maxretry"), "3\n");
  assert.equal(await says("get", "sshd", "bantime"), "1h 1d 7d 30d\n");
  assert.equal(await says("set", "sshd", "maxretry", "5"), "5\n");
  assert.equal(await says("get", "sshd", "maxretry"), "5\n");
  await says("set", "sshd", "unbanip", "203.0.113.1");
  const [made] = await values<{ net: string; ports: number[] }>("set", "sshd", "banip", "203.0.113.9");
  assert.deepEqual([made?.net, made?.ports], ["203.0.113.9/32", [22]]);
  await says("set", "sshd", "addignoreip", "203.0.113.9");
  assert.equal(await says("get", "sshd", "ignoreip"), "203.0.113.9\n");
  assert.equal(await says("banned"), "");
  await says("set", "sshd", "delignoreip", "203.0.113.9");
  assert.equal((await run("set", "sshd", "bantime", "1h")).code, 64);
});

test("a policy is tried, put in force upon the version that was seen, listed and taken back", async () => {
  const file = join(dir, "policy.yaml");
  writeFileSync(file, "jails:\n  sshd: { maxretry: 1 }\n");
  const [{ version } = { version: 0 }] = await values<{ version: number }>("policy", "show");
  assert.match(
    await says("policy", "dry-run", file, "--days", "1"),
    /^3 failures of the last 1d: 0 bans now, 1 with this policy\nadds 1, removes 0, changes 0\n\s+NET/,
  );
  assert.equal(
    await says("policy", "set", file, "--yes", "--version", String(version)),
    `version ${version + 1} is in force\n`,
  );
  const late = await run("policy", "set", file, "--yes", "--version", String(version));
  assert.match(late.stderr, /the policy has changed since you read it/);
  assert.match(await says("policy", "show", "--effective"), /maxretry: 1/);
  assert.equal(await says("policy", "revert", "--yes"), `version ${version + 2} is in force\n`);
  assert.match(await says("policy", "versions"), new RegExp(`^VERSION.*\n${version + 2} .*in force`));
  writeFileSync(file, "jails: { sshd: { maxretry: 0 } }\n");
  const broken = await run("policy", "dry-run", file);
  assert.match(broken.stderr, /jails\.sshd\.maxretry: must be a whole number/);
});

test("hosts and tenants are shown and changed by their names", async () => {
  assert.match(await says("hosts", "rename", "h2", "shop, front end"), /label +shop, front end/);
  assert.match(await says("hosts", "--search", "front"), /default\/h2 /);
  assert.equal(await says("hosts", "--search", "nowhere"), "no such hosts\n");
  assert.match(await says("hosts", "quarantine", "h2", "--reason", "noisy"), /state +quarantined/);
  assert.match(await says("hosts", "quarantine", "h2", "--off"), /state +away/);
  assert.match(await says("hosts", "observe", "h2", "--dry-run"), /observes/);
  assert.doesNotMatch(await says("hosts", "h2"), /observes/);
  assert.match(await says("hosts", "move", "web-1", "default", "--yes"), /host +default\/web-1/);
  assert.match(await says("hosts", "revoke", "web-1", "--yes"), /state +revoked/);
  assert.match(await says("tenants", "acme", "--quarantine"), /acme +vote +0 .*quarantined/);
  assert.match(await says("tenants", "example", "--trust", "vote"), /example +vote/);
  assert.equal((await run("tenants", "acme", "--trust", "full")).code, 64);
});

test("tokens are made, listed and revoked, and the log of all of this verifies", async () => {
  const made = await says("token", "create", "--name", "panel", "--role", "support");
  assert.match(made, /^f2b_[\w-]+\n$/);
  const list = await values<{ id: number; name: string }>("token", "list");
  const panel = list.find((each) => each.name === "panel");
  assert.equal(await says("token", "revoke", String(panel?.id)), `revoked token ${panel?.id}\n`);
  assert.match(await says("token", "enroll"), /^f2b-enroll-\w+\n$/);
  assert.match(await says("token", "enrolments"), /default +any +1 /);
  assert.equal(await says("token", "revoke-enrolment", "1"), "revoked enrolment token 1\n");
  assert.match(await says("audit", "--action", "add token"), /admin of fleet +add token +panel/);
  const [ban] = await values<{ sequence: number }>("audit", "--action", "ban");
  assert.match(await says("audit", "reach", String(ban?.sequence)), /^SCOPE .*\nfleet +0\/\d +h1/);
  assert.match(await says("audit", "verify"), /^sound: \d+ entries\n$/);
  await api.arena.store.rows("alter table audit disable trigger all");
  await api.arena.store.rows("update audit set actor = 'somebody else' where sequence = 3");
  const broken = await run("audit", "verify");
  assert.equal(broken.code, 1);
  assert.match(broken.stdout, /^BROKEN at entry 3: /);
});

test("feeds are added, looked at, enforced, refreshed and removed", async () => {
  await using publisher = await openPublisher(plain("198.51.100.1\n10.0.0.0/8\n198.51.100.2\n198.51.100.3\n"));
  const added = await says("feeds", "add", "drop", publisher.url, "--note", "a test");
  assert.match(added, /^NAME .*\ndrop +observe +3 +0 +1 .*\nlook at it, then: fleet2ban feeds enforce drop\n$/);
  assert.match(await says("feeds", "show", "drop"), /left out, reserved: 1 \(10\.0\.0\.0\/8\)/);
  assert.match(await says("feeds", "enforce", "drop", "--yes"), /drop +enforce/);
  await api.feeds.settle();
  assert.match(await says("explain", "198.51.100.1"), /Feed drop has listed it since.*\nFEED +MODE/s);
  await says("unban", "198.51.100.1", "--reason", "ours");
  assert.match(await says("feeds", "show", "drop"), /lifted by admin of fleet at .*: 198\.51\.100\.1 ours/);
  assert.equal(await says("feeds", "restore", "drop", "198.51.100.1"), "drop may ban 198.51.100.1 again\n");
  publisher.answer = plain("");
  const refused = await run("feeds", "refresh", "drop");
  assert.deepEqual([refused.code, /holds no entry/.test(refused.stdout)], [1, true]);
  assert.match(await says("feeds", "remove", "drop", "--yes"), /is being lifted/);
  await api.feeds.settle();
  assert.equal(await says("feeds"), "no feeds; see fleet2ban feeds --help\n");
});

test("exports go to standard output as they are", async () => {
  await says("ban", "192.0.2.77", "--time", "forever", "--reason", "x");
  assert.match(await says("export", "txt"), /^# fleet2ban.*\n192\.0\.2\.77\n$/);
  assert.match(await says("export", "csv"), /^net,scope,.*\r\n192\.0\.2\.77\/32,fleet,/);
  assert.match(await says("export", "jsonl"), /^\{"id":\d+,"net":"192\.0\.2\.77\/32"/);
});

test("the shell completes commands, verbs and options", async () => {
  const script = await says("completion", "bash");
  const complete = (words: string) => {
    const asked = `${script}\nCOMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]}-1)); _fleet2ban; echo "\${COMPREPLY[@]}"`;
    return spawnSync("bash", ["-c", asked], { encoding: "utf8" }).stdout.trim();
  };
  assert.equal(complete("fleet2ban una"), "");
  assert.equal(complete("fleet2ban unb"), "unban");
  assert.equal(complete("fleet2ban hosts q"), "quarantine");
  assert.equal(complete("fleet2ban policy --day"), "--days");
});

test("the program is its command line: what it answers, and how it ends", async () => {
  const program = (...args: string[]) => runProgram("server/cli/main.ts", args, { env: environment() });
  for (const args of [["bans", "--json"], ["status"], ["--help"]])
    assert.deepEqual(await program(...args), await run(...args));
  const refused = await program("unban", "192.0.2.200");
  assert.deepEqual([refused.code, refused.stderr], [1, "fleet2ban: no ban of 192.0.2.200/32 stands\n"]);
});

test("a command called the wrong way ends with 64, a refusal and an absent coordinator with their own codes", async () => {
  assert.equal((await run("nonsense")).code, 64);
  assert.equal((await run("constructor")).code, 64);
  assert.equal((await run("unban")).code, 64);
  const missing = await run("unban", "192.0.2.200");
  assert.deepEqual([missing.code, missing.stderr], [1, "fleet2ban: no ban of 192.0.2.200/32 stands\n"]);
  const env = { FLEET2BAN_TOKEN: "f2b_00000000000000000000" };
  const away = await runProgram("server/cli/main.ts", ["status", "--server", "http://127.0.0.1:1"], { env });
  assert.equal(away.code, 69);
});
