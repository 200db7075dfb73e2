import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { replayCommand } from "../../../server/cli/replay.ts";
import { UsageError } from "../../../shared/command-line.ts";
import { exitCodeOf } from "../../../shared/errors.ts";

/** Runs the command on these lines as standard input. */
async function replay(lines: readonly string[], args: readonly string[] = ["--json"]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const run = replayCommand(["-", ...args], { stdout, stderr, stdin: Readable.from(lines.map((line) => `${line}\n`)) });
  const [printed, noted] = [text(stdout), text(stderr)];
  const ended = run.then(
    (code) => ({ code, error: undefined }),
    (error: unknown) => ({ code: error instanceof UsageError ? 64 : exitCodeOf(error), error }),
  );
  const { code, error } = await ended;
  stdout.end();
  stderr.end();
  return { code, error, lines: (await printed).split("\n").slice(0, -1), notes: await noted };
}

async function fileWith(context: TestContext, name: string, content: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "fleet2ban-replay-"));
  context.after(() => rm(folder, { recursive: true }));
  const file = join(folder, name);
  await writeFile(file, content);
  return file;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : "no error");

test("prints each decision as one JSON line with the documented keys in the documented order", async () => {
  const { code, lines, notes } = await replay([
    '{"at":1000,"kind":"tenant","tenant":"a","trust":"vote","createdAt":-2000000}',
    '{"at":1000,"kind":"failure","tenant":"a","host":"h1","jail":"sshd","ip":"192.0.2.1","count":3}',
    '{"at":1000,"kind":"failure","host":"h1","jail":"dovecot","ip":"192.0.2.1","count":3}',
    '{"at":1001,"kind":"ban","net":"198.51.100.0/24","scope":"tenant:a","bantime":null}',
    '{"at":1002,"kind":"ban","net":"198.51.100.7","scope":"fleet","bantime":60,"ports":[443]}',
    '{"at":1003,"kind":"unban","net":"192.0.2.1","scope":"tenant:a","reason":"false-positive"}',
    '{"at":1004,"kind":"never","net":"203.0.113.7"}',
    '{"at":1005,"kind":"ban","net":"203.0.113.0/24","scope":"fleet","bantime":60}',
    '{"at":1006,"kind":"allow","net":"198.51.100.0/24","tenant":"a"}',
    '{"at":4600,"kind":"tick"}',
  ]);
  assert.equal(code, 0);
  assert.equal(notes, "");
  assert.deepEqual(lines, [
    '{"at":1000,"kind":"ban","net":"192.0.2.1/32","scope":"tenant:a","level":0,"until":4600,"ports":[22],"reason":"jail sshd","evidence":{"hosts":1,"tenants":1,"failures":3}}',
    '{"at":1000,"kind":"ban","net":"192.0.2.1/32","scope":"fleet","level":0,"until":4600,"ports":"all","reason":"jail dovecot","evidence":{"hosts":1,"tenants":1,"failures":3}}',
    '{"at":1001,"kind":"ban","net":"198.51.100.0/24","scope":"tenant:a","level":null,"until":null,"ports":"all","reason":"admin","evidence":{"hosts":0,"tenants":0,"failures":0}}',
    '{"at":1002,"kind":"ban","net":"198.51.100.7/32","scope":"fleet","level":null,"until":1062,"ports":[443],"reason":"admin","evidence":{"hosts":0,"tenants":0,"failures":0}}',
    '{"at":1003,"kind":"unban","net":"192.0.2.1/32","scope":"tenant:a","reason":"false-positive"}',
    '{"at":1005,"kind":"refused","net":"203.0.113.0/24","scope":"fleet","why":"203.0.113.0/24 holds never-listed addresses (203.0.113.7/32); take them off the never list first"}',
    '{"at":1006,"kind":"unban","net":"198.51.100.0/24","scope":"tenant:a","reason":"allowed"}',
    '{"at":1062,"kind":"unban","net":"198.51.100.7/32","scope":"fleet","reason":"expired"}',
    '{"at":4600,"kind":"unban","net":"192.0.2.1/32","scope":"fleet","reason":"expired"}',
  ]);
});

test("a missing tenant is the default one, a missing count one, a missing creation date old", async () => {
  const failure = '{"at":1,"kind":"failure","host":"h1","jail":"sshd","ip":"192.0.2.1"}';
  const { lines } = await replay([failure, failure, failure.replace("{", '{"tenant":"default","count":1,')]);
  assert.equal(lines.length, 1);
  const votes = ["a", "b", "c"].flatMap((tenant) => [
    `{"at":1,"kind":"tenant","tenant":"${tenant}","trust":"vote"}`,
    `{"at":1,"kind":"failure","tenant":"${tenant}","host":"h1","jail":"sshd","ip":"192.0.2.1","count":3}`,
  ]);
  const counted = await replay(votes);
  assert.match(counted.lines.at(-1) ?? "", /"scope":"fleet".*"reason":"votes"/);
});

test("what is not an address is dropped, not an error; unknown fields and empty lines are passed over", async () => {
  const { code, lines } = await replay([
    '{"at":1,"kind":"failure","host":"h1","jail":"sshd","ip":"nobody","count":3,"user":"root"}',
    "",
    '{"at":1,"kind":"tick"}',
  ]);
  assert.deepEqual([code, lines], [0, []]);
});

test("a quarantine is told on standard error, so that every line of output is a documented one", async (context) => {
  const flood = [1, 2].map((last) => `{"at":0,"kind":"failure","host":"h1","jail":"sshd","ip":"192.0.2.${last}"}`);
  const file = await fileWith(context, "policy.json", '{"limits":{"agent":{"subjectsPerMinute":1}}}');
  const { lines, notes } = await replay(flood, ["--json", "--policy", file]);
  assert.deepEqual(lines, []);
  assert.match(notes, /host default\/h1 is quarantined: more than 1 subjects in a minute/);
});

test("a policy in YAML or JSON is laid over the defaults", async (context) => {
  const failures = ['{"at":1,"kind":"failure","host":"h1","jail":"sshd","ip":"192.0.2.1","count":2}'];
  for (const [name, content] of [
    ["policy.yaml", "jails:\n  sshd: { maxretry: 2 }   # two are enough\n"],
    ["policy.json", '{"jails":{"sshd":{"maxretry":2}}}'],
  ] as const) {
    const file = await fileWith(context, name, content);
    const { lines } = await replay(failures, ["--json", "--policy", file]);
    assert.match(lines[0] ?? "", /"until":3601,"ports":\[22\]/, name);
  }
});

test("people get sentences and a summary", async () => {
  const { lines } = await replay(
    [
      '{"at":1700000000,"kind":"failure","host":"h1","jail":"sshd","ip":"192.0.2.1","count":3}',
      '{"at":1700000000,"kind":"failure","host":"h2","jail":"sshd","ip":"192.0.2.1"}',
      '{"at":1700000000,"kind":"failure","host":"h2","jail":"sshd","ip":"10.0.0.1"}',
      '{"at":1700003600,"kind":"tick"}',
    ],
    [],
  );
  assert.deepEqual(lines, [
    "2023-11-14 22:13:20Z  ban      192.0.2.1/32  fleet: level 0, until 2023-11-14 23:13:20Z, port 22; jail sshd: 3 failures, 1 host, 1 tenant",
    "2023-11-14 23:13:20Z  unban    192.0.2.1/32  fleet: expired",
    "4 events: 1 failure counted, 1 failure kept as evidence only, 1 failure dropped, 1 ban, 1 unban, 0 held, 0 refused",
  ]);
});

test("a bad line is an error that names the input, the line, the field and the remedy, and ends with 78", async () => {
  const good = '{"at":1,"kind":"tick"}';
  const cases: readonly (readonly [string, RegExp])[] = [
    ["{", /: not JSON; write one JSON object per line/],
    ["[1]", /must be a JSON object/],
    ['{"at":1,"kind":"boom"}', /"kind" must be "failure", .* \(got "boom"\)/],
    ['{"at":"1","kind":"tick"}', /"at" must be a number of seconds since the epoch \(got "1"\)/],
    ['{"at":1700000000000,"kind":"tick"}', /"at" must be in seconds, not milliseconds/],
    ['{"kind":"tick"}', /"at" must be a number .* \(it is missing\)/],
    ['{"at":1,"kind":"failure","jail":"sshd","ip":"192.0.2.1"}', /"host" must be a name \(it is missing\)/],
    ['{"at":1,"kind":"failure","host":"h","jail":"j","ip":"192.0.2.1","count":0}', /"count" must be a whole number/],
    ['{"at":1,"kind":"tenant","tenant":"a","trust":"some"}', /"trust" must be "full" or "vote" \(got "some"\)/],
    ['{"at":1,"kind":"never","net":"192.0.2.0/33"}', /"net" must be an address or network/],
    ['{"at":1,"kind":"ban","net":"192.0.2.1","scope":"all","bantime":1}', /"scope" must be "fleet", "tenant:NAME"/],
    ['{"at":1,"kind":"ban","net":"192.0.2.1","scope":"fleet","bantime":"1h"}', /"bantime" must be .* \(got "1h"\)/],
    [
      '{"at":1,"kind":"unban","net":"192.0.2.1","scope":"fleet","reason":"mood"}',
      /"reason" must be one of expired, admin/,
    ],
  ];
  for (const [line, expected] of cases) {
    const { code, error } = await replay([good, line]);
    assert.equal(code, 78, line);
    assert.match(messageOf(error), /^standard input: line 2: /);
    assert.match(messageOf(error), expected);
  }
});

test("what was decided before a bad line is printed", async () => {
  const { code, lines } = await replay(['{"at":1,"kind":"ban","net":"192.0.2.1","scope":"fleet","bantime":1}', "oops"]);
  assert.deepEqual([code, lines.length], [78, 1]);
});

test("reads a file, and says so when it cannot", async (context) => {
  const file = await fileWith(context, "events.jsonl", '{"at":1,"kind":"tick"}\n{"at":2,"kind":"tock"}');
  const io = { stdout: new PassThrough(), stderr: new PassThrough(), stdin: Readable.from([]) };
  await assert.rejects(replayCommand([file], io), { message: new RegExp(`^${file}: line 2: "kind"`) });
  await assert.rejects(replayCommand([`${file}.gone`], io), /events\.jsonl\.gone: cannot be read \(ENOENT/);
});

test("a broken policy names its file and setting and ends with 78", async (context) => {
  const wrong = await fileWith(context, "policy.yaml", "fleet: { tenants: 1 }\n");
  const broken = await fileWith(context, "policy.yaml", "fleet: { tenants: \n");
  for (const [file, expected] of [
    [wrong, /policy\.yaml: fleet\.tenants: must be a whole number from 2 to 1000 \(got 1\)/],
    [broken, /policy\.yaml: not YAML or JSON: /],
    ["/nonexistent/policy.yaml", /policy\.yaml: cannot be read/],
  ] as const) {
    const { code, error } = await replay([], ["--policy", file]);
    assert.equal(code, 78);
    assert.match(messageOf(error), expected);
  }
});

test("called without events, or with an unknown option, it is a usage error", async () => {
  const io = { stdout: new PassThrough(), stderr: new PassThrough(), stdin: Readable.from([]) };
  await assert.rejects(replayCommand([], io), UsageError);
  await assert.rejects(replayCommand(["-", "--polciy", "x"], io), UsageError);
});

test("a line without end is refused, not read into memory", async () => {
  const io = { stdout: new PassThrough(), stderr: new PassThrough(), stdin: Readable.from(["x".repeat(70_000)]) };
  await assert.rejects(replayCommand(["-"], io), /standard input: a line is longer than 65536 characters/);
});

test("a character cut in two by the stream is read whole", async () => {
  const bytes = Buffer.from('{"at":1,"kind":"failure","host":"hé","jail":"sshd","ip":"192.0.2.1","count":3}\n');
  const cut = bytes.indexOf(0xc3) + 1;
  const stdin = Readable.from([bytes.subarray(0, cut), bytes.subarray(cut)], { objectMode: false });
  const stdout = new PassThrough();
  await replayCommand(["-", "--json"], { stdout, stderr: new PassThrough(), stdin });
  stdout.end();
  assert.equal((await text(stdout)).split("\n").length, 2);
});
