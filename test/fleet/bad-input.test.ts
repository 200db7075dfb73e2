import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect, jwtAuthenticator } from "@nats-io/transport-node";
import { AgentCredentials } from "../../shared/enrollment.ts";
import { subjects } from "../../shared/subjects.ts";
import { failedLogin, freePorts, type LiveFleet, type LiveHost, openLiveFleet } from "../support/live-fleet.ts";
import { makeLiveHost } from "../support/live-host.ts";
import { processesWith } from "../support/processes.ts";
import { runProgram, startProgram } from "../support/program.ts";
import { waitFor } from "../support/wait-for.ts";

const opened = new AsyncDisposableStack();
const workDir = mkdtempSync(join(tmpdir(), "fleet2ban-bad-"));
opened.defer(() => rmSync(workDir, { recursive: true, force: true }));
let fleet: LiveFleet;

/** Started first, because it waits half a minute for the database. */
let withoutDatabase: ReturnType<typeof startWithoutDatabase>;

before(async () => {
  withoutDatabase = startWithoutDatabase();
  fleet = opened.use(await openLiveFleet({ hosts: 2, namespaces: false }));
});
after(() => opened.disposeAsync());

test("a broken filter and a missing log are named, and the other jails go on", async () => {
  const host = makeLiveHost("broken", null, workDir, {
    jailLocal:
      "[sshd]\nenabled = true\nbackend = polling\nlogpath = LOGFILE\nmaxretry = 2\n" +
      "[typo]\nenabled = true\nfilter = no-such-filter\nlogpath = LOGFILE\n" +
      "[unclosed]\nenabled = true\nfilter = unclosed\nlogpath = LOGFILE\n" +
      "[early]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = LOGFILE-not-yet\n",
  });
  writeFileSync(join(host.configDir, "filter.d/unclosed.conf"), "[Definition]\nfailregex = ^(bad <ADDR>$\n");
  const check = await host.run("check");
  assert.equal(check.code, 78, check.stdout + check.stderr);
  const said = check.stdout + check.stderr;
  for (const word of ["typo", "no-such-filter", "unclosed", "failregex"]) assert.ok(said.includes(word), said);

  host.start();
  await using _agent = host.agent();
  const { problems } = await host.status();
  assert.ok(
    problems.some((problem) => /jail typo does not run: .*no-such-filter/.test(problem)),
    problems.join("\n"),
  );
  assert.ok(
    problems.some((problem) => /jail unclosed does not run: .*unclosed/.test(problem)),
    problems.join("\n"),
  );
  host.append(failedLogin("broken", "203.0.113.1", Date.now()), failedLogin("broken", "203.0.113.1", Date.now()));
  await banned(host, "203.0.113.1");
  // A log that appears later is followed from then on.
  appendFileSync(`${host.logFile}-not-yet`, `${failedLogin("broken", "203.0.113.2", Date.now())}\n`);
  await waitFor(async () => (await host.status()).logs.some(({ path }) => path.endsWith("-not-yet")), "the late log");
});

test("a configuration with a typo ends with 78, a wrong word in the command with 64, and both name it", async () => {
  const [agentYaml, serverYaml] = [join(workDir, "typo.yaml"), join(workDir, "server.yaml")];
  writeFileSync(agentYaml, "stateDirectory: /tmp/nowhere\nfirewall: iptable\n");
  writeFileSync(serverYaml, "htttp: 127.0.0.1:1\nlogLevel: loud\n");
  const serverArgs = ["--config", serverYaml, "--http", "8080", "--database-url", "mysql://x/y"];
  const [agent, server, missing, word, option] = await Promise.all([
    runProgram("agent/main.ts", ["run", "--config", agentYaml]),
    runProgram("server/main.ts", serverArgs),
    runProgram("agent/main.ts", ["run", "--config", "/nonexistent/agent.yaml"]),
    runProgram("agent/main.ts", ["rum"]),
    runProgram("server/main.ts", ["--htttp", "x"]),
  ]);
  assertEnd(agent, 78, /typo\.yaml: .*firewall: .*nftables.*stateDirectory/);
  for (const each of [/server\.yaml: .*htttp/, /server\.yaml: logLevel: .*debug/]) assertEnd(server, 78, each);
  for (const each of [/--http: must be HOST:PORT/, /--database-url: .*postgresql/]) assertEnd(server, 78, each);
  assertEnd(missing, 78, /\/nonexistent\/agent\.yaml: no such file/);
  assertEnd(word, 64, /no command "rum".*--help/);
  assertEnd(option, 64, /--htttp.*--help/);
});

test("messages of an agent that are no batches, or too large, are dropped, and its host is served on", async () => {
  const [host] = fleet.hosts;
  if (host === undefined) throw new Error("no host");
  const file = join(host.folder, "credentials.json");
  const { url, jwt, seed } = AgentCredentials.parse(JSON.parse(readFileSync(file, "utf8")));
  const connection = await connect({
    servers: url,
    authenticator: jwtAuthenticator(jwt, new TextEncoder().encode(seed)),
    reconnect: false,
  });
  const subject = subjects.failures(0, host.name);
  for (const text of [
    "",
    "not json",
    "{}",
    '{"v":1,"e":"x","s":1,"t":0,"j":["../../etc"],"f":[]}',
    "[".repeat(50_000),
  ]) {
    connection.publish(subject, text);
  }
  for (const verb of ["sync", "status", "renew"] as const) connection.publish(subjects.up(host.name, verb), "no JSON");
  await connection.flush();
  // Another host's name, and more than one message may have: the bus itself refuses both.
  connection.publish(subjects.failures(0, "host2"), "{}");
  // An honest client would not even send it.
  const { info } = (connection as unknown as { protocol: { info: { max_payload: number } } }).protocol;
  info.max_payload = 1_000_000;
  connection.publish(subject, new Uint8Array(100_000));
  await connection.closed();

  await waitFor(() => /bad_batch/.test(fleet.coordinator().stderr()), "the coordinator to name them");
  const address = "203.0.113.10";
  host.append(...Array.from({ length: 3 }, () => failedLogin(host.name, address, Date.now())));
  await waitFor(async () => {
    const { items } = await fleet.api<{ items: unknown[] }>("GET", `/bans?net=${address}`);
    return items.length === 1;
  }, "a ban after honest failures");
});

test("a wrong API token is refused with the remedy", async () => {
  for (const token of ["", "Bearer nonsense", `Bearer f2b_${"x".repeat(43)}`]) {
    const response = await fetch(`${fleet.url}/api/v1/bans`, { headers: { authorization: token } });
    assert.equal(response.status, 401);
    assert.match(await response.text(), /an admin/);
  }
  const { code, stderr } = await runProgram("server/cli/main.ts", ["status", "--server", fleet.url], {
    env: { FLEET2BAN_TOKEN: `f2b_${"x".repeat(43)}` },
  });
  assert.equal(code, 1, stderr);
  assert.match(stderr, /unknown, expired or revoked/);
});

test("an enrolment token works once, and a wrong one says what to do", async () => {
  const { token } = await fleet.api<{ token: string }>("POST", "/enrollment-tokens", {});
  const first = makeLiveHost("first", null, workDir);
  assertEnd(await first.run("enroll", token), 0, /^/);
  assertEnd(await first.run("enroll", token), 1, /credentials\.json: .*enrolled already.*--force/);
  const second = makeLiveHost("second", null, workDir);
  assertEnd(await second.run("enroll", token), 1, /enrolment refused: .*token/);
  assert.ok(!existsSync(join(second.folder, "credentials.json")));
  assertEnd(await second.run("enroll", token.slice(0, -20)), 78, /enrolment token: .*copy the whole line/);
  assertEnd(await second.run("enroll", "hello"), 78, /enrolment token: .*copy the whole line/);
});

test("a coordinator without its database waits for a while, then ends with 69 and says which", async () => {
  const { program, nobody } = await withoutDatabase;
  const said = { code: await program.ended, stdout: program.stdout(), stderr: program.stderr() };
  assertEnd(said, 69, new RegExp(`127\\.0\\.0\\.1:${nobody}.*--database-url`));
  assert.doesNotMatch(said.stderr, /secret/);
});

test("SIGTERM ends a coordinator that still waits for its database", async () => {
  const { program, nobody } = await startWithoutDatabase();
  const { program: patient } = await startWithoutDatabase();
  for (const each of [program, patient]) await waitFor(() => each.stderr().includes("waiting for it"), "the wait");
  program.signal("SIGTERM");
  assert.equal(await Promise.race([program.ended.then(() => nobody), patient.ended]), nobody);
});

test("a port that is taken ends with 69, names the port and leaves nothing running", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const [first, second] = await freePorts(2);
  const start = (name: string, http: number | undefined, bus: number | undefined) => {
    const listen = ["--http", `127.0.0.1:${http}`, "--nats-listen", `127.0.0.1:${bus}`];
    return runProgram("server/main.ts", ["--data-dir", join(workDir, name), ...listen]);
  };
  const [web, bus] = await Promise.all([start("web", port, first), start("bus", second, port)]);
  await new Promise((resolve) => taken.close(resolve));
  assertEnd(web, 69, new RegExp(`127\\.0\\.0\\.1:${port}.*--http`));
  assertEnd(bus, 69, new RegExp(`127\\.0\\.0\\.1:${port}.*is the port free`));
  for (const name of ["web", "bus"]) assert.deepEqual(processesWith(join(workDir, name)), []);
});

test("a second coordinator on one data directory, and a second agent on one state directory, are refused", async () => {
  const [busPort, httpPort] = await freePorts(2);
  const args = [
    "--data-dir",
    fleet.dataDir,
    "--http",
    `127.0.0.1:${httpPort}`,
    "--nats-listen",
    `127.0.0.1:${busPort}`,
  ];
  assertEnd(await runProgram("server/main.ts", args), 1, /process id \d+ is using this data directory.*--data-dir/);
  const [host] = fleet.hosts;
  if (host === undefined) throw new Error("no host");
  assertEnd(await host.run("run"), 69, /another fleet2ban agent is running.*stop it first/);
  assert.ok((await host.status()).fleet?.connected);
  assert.ok(await fleet.api("GET", "/status"));
});

test("a log that cannot be read is a named problem", async () => {
  const host = makeLiveHost("unreadable", null, workDir);
  // Root may read every file, but nobody reads a folder.
  rmSync(host.logFile);
  mkdirSync(host.logFile);
  host.start();
  await using _agent = host.agent();
  await waitFor(async () => (await host.status()).problems.some((each) => each.includes(host.logFile)), "the problem");
});

async function startWithoutDatabase() {
  const [busPort, httpPort, nobody] = await freePorts(3);
  const listen = ["--http", `127.0.0.1:${httpPort}`, "--nats-listen", `127.0.0.1:${busPort}`];
  const database = ["--database-url", `postgresql://u:secret@127.0.0.1:${nobody}/db`];
  const program = startProgram("server/main.ts", ["--data-dir", join(workDir, "none"), ...listen, ...database]);
  opened.use(program);
  return { program, nobody };
}

type Ended = Readonly<{ code: number | string; stdout: string; stderr: string }>;

/** One sentence, no stack: people read it. */
function assertEnd({ code, stdout, stderr }: Ended, wanted: number, sentence: RegExp): void {
  const sentences = stderr.split("\n").filter((line) => !line.startsWith("{"));
  assert.match(wanted === 0 ? stdout : sentences.join("\n"), sentence);
  assert.equal(code, wanted, stderr);
  assert.doesNotMatch(sentences.join("\n"), /^\s+at /m, "a stack is nobody's sentence");
}

async function banned(host: LiveHost, address: string): Promise<void> {
  const isBanned = async () => (await host.status()).jails.some((jail) => jail.banned.some(({ id }) => id === address));
  await waitFor(isBanned, `${host.name} to ban ${address}`);
}
