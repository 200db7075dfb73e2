import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { decodeEnrollmentToken } from "../../shared/enrollment.ts";
import { buildBundle } from "../support/bundle.ts";
import { writeFiles } from "../support/fail2ban-server.ts";
import { openLiveFleet } from "../support/live-fleet.ts";
import { runProgram, startProgram } from "../support/program.ts";
import { waitFor } from "../support/wait-for.ts";

const bundle = buildBundle("agent");
const main = join(bundle.folder, "fleet2ban-agent.mjs");
const folder = mkdtempSync(join(tmpdir(), "fleet2ban-installed-"));
after(() => {
  bundle[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

const config = join(folder, "agent.yaml");
const log = join(folder, "door.log");
writeFileSync(
  config,
  `stateDir: ${folder}/state\ncredentials: ${folder}/none\nconfigDir: ${folder}\noverlayDir: ${folder}/none\nfirewall: observe\n`,
);
writeFiles(folder, {
  "jail.conf": `[door]\nenabled = true\nbackend = polling\nfilter = door\nlogpath = ${log}\nmaxretry = 2\nignoreself = false\n`,
  "filter.d/door.conf": "[Definition]\nfailregex = ^\\s*door refused <HOST>$\ndatepattern = ^EPOCH\n",
  "door.log": "",
});

test("every command of the installed agent has its help", async () => {
  const { code, stdout } = await runProgram(main, ["--help"]);
  assert.equal(code, 0);
  const commands = [...stdout.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name ?? "");
  assert.ok(commands.includes("run") && commands.includes("import"));
  for (const name of commands) {
    const help = await runProgram(main, [name, "--help"]);
    assert.equal(help.code, 0, `${name}: ${help.stderr}`);
    assert.match(help.stdout, new RegExp(`^usage: fleet2ban-agent ${name}`));
  }
});

test("the installed agent finds the built-in filters beside it", async () => {
  const builtIn = join(folder, "built-in.yaml");
  writeFileSync(
    builtIn,
    `stateDir: ${folder}/state\nconfigDir: ${bundle.folder}/built-in\noverlayDir: ${folder}/none\njails: [sshd]\n`,
  );
  const { code, stdout, stderr } = await runProgram(main, ["check", "--config", builtIn]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /jail sshd/);
});

test("the installed agent runs a jail and ends in peace", async () => {
  const agent = startProgram(main, ["run", "--config", config]);
  await waitFor(() => agent.stderr().includes('"event":"started"'), "the agent to start", 60_000);
  const seconds = Math.floor(Date.now() / 1000);
  writeFileSync(log, `${seconds} door refused 192.0.2.1\n${seconds} door refused 192.0.2.1\n`);
  await waitFor(() => agent.stderr().includes('"event":"banned"'), "a ban");
  assert.match(agent.stderr(), /works alone; `fleet2ban-agent enroll TOKEN` joins a fleet/);
  const status = await runProgram(main, ["status", "--config", config]);
  assert.match(status.stdout, /jail {6}door: 1 banned/);
  agent.signal("SIGTERM");
  assert.equal(await agent.ended, 0, agent.stderr());
});

test("the installed agent joins a fleet over an encrypted line", { timeout: 120_000 }, async () => {
  await using fleet = await openLiveFleet({ hosts: 0, namespaces: false, serverArgs: ["--nats-tls", "on"] });
  const { token } = await fleet.api<{ token: string }>("POST", "/enrollment-tokens", { host: "web-1" });
  assert.match(decodeEnrollmentToken(token).url, /^tls:/);
  const joined = join(folder, "joined.yaml");
  writeFileSync(
    joined,
    `stateDir: ${folder}/joined\ncredentials: ${folder}/credentials\nconfigDir: ${folder}\noverlayDir: ${folder}/none\nfirewall: observe\n`,
  );
  const enrolled = await runProgram(main, ["enroll", token, "--config", joined]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  assert.match(
    enrolled.stdout,
    /^enrolled as default\/web-1; .*\nnext: .* run --config .*joined\.yaml`/,
    "it does not say what to do next",
  );
  await using agent = startProgram(main, ["run", "--config", joined]);
  const inStep = async () => {
    if (agent.ending() !== undefined) throw new Error(agent.stderr());
    return (await runProgram(main, ["status", "--config", joined])).stdout.includes("connected, in step");
  };
  await waitFor(inStep, "the agent to be in step", 60_000);
});
