import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { z } from "zod";
import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import { FilterReport } from "../../../agent/filters/filter-report.ts";
import { lintFilter } from "../../../agent/settings/lint-filter.ts";
import { builtInConfigDir, loadFilter, loadSettings } from "../../../agent/settings/load-settings.ts";
import { readCorpus } from "./corpus.ts";
import { oracleMissing } from "./oracle.ts";

const samples = readCorpus();
const references = [...new Set(samples.map((sample) => sample.filter))];
const filters = new Map(references.map((reference) => [reference, loadFilter(builtInConfigDir(), reference)]));

const Found = z.array(z.object({ ip: z.string(), user: z.string().nullable(), regex: z.int() }).nullable());

function matchWithFail2ban(lines: readonly Readonly<{ filter: string; line: string }>[]) {
  const asked = {
    filters: Object.fromEntries([...filters].map(([name, filter]) => [name, { ...filter, useDns: "no" }])),
    samples: lines,
  };
  const script = join(import.meta.dirname, "run-filter.py");
  const input = JSON.stringify(asked);
  return Found.parse(JSON.parse(execFileSync("python3", [script], { input, encoding: "utf8", maxBuffer: 1 << 26 })));
}

test("our engine finds in every sample line what the corpus says", () => {
  const clock = { nowMs: Date.parse("2026-11-22T12:00:00Z"), mode: "any", findTimeMs: 0 } as const;
  for (const [reference, settings] of filters) {
    const own = samples.filter((sample) => sample.filter === reference);
    const filter = compileFilter(settings, { useDns: "no", timezone: "UTC" });
    assert.deepEqual(filter.warnings, [], reference);
    const report = new FilterReport(filter, clock, (trouble) => assert.fail(JSON.stringify(trouble)));
    const rows = report.add(Buffer.from(own.map((sample) => `${sample.line}\n`).join("")));
    const found = new Map(rows.map((row) => [row.line, row]));
    for (const [index, sample] of own.entries()) {
      const row = found.get(index + 1);
      assert.equal(row?.ip ?? null, sample.ip, `${sample.place}: ${sample.line}`);
      if (sample.user !== undefined) assert.equal(row?.user ?? "", sample.user, sample.place);
    }
  }
});

test("fail2ban itself finds in every sample line what the corpus says", { skip: oracleMissing() ?? false }, () => {
  const wrong: string[] = [];
  const hit = new Map(references.map((reference) => [reference.replace(/\[.*/, ""), new Set<string>()]));
  for (const [index, found] of matchWithFail2ban(samples).entries()) {
    const sample = samples[index];
    assert.ok(sample);
    const expected = sample.ip === null ? "no failure" : `${sample.ip} ${sample.user ?? ""}`;
    const seen = found === null ? "no failure" : `${found.ip} ${sample.user === undefined ? "" : found.user}`;
    if (seen !== expected) wrong.push(`${sample.place}: ${seen}, not ${expected}\n  ${sample.line}`);
    if (found !== null) {
      hit.get(sample.filter.replace(/\[.*/, ""))?.add(filters.get(sample.filter)?.failRegex[found.regex] ?? "");
    }
  }
  assert.deepEqual(wrong, []);
  const unused = [...filters].flatMap(([reference, filter]) => {
    const seen = hit.get(reference.replace(/\[.*/, ""));
    return filter.failRegex.filter((regex) => !seen?.has(regex)).map((regex) => `${reference}: ${regex}`);
  });
  assert.deepEqual(unused, [], "no sample line hits these");
});

const peer = "192.0.2.7";
/** Lines as the daemons write them around a name that the client chose. */
const templates: readonly (readonly [filter: string, line: (name: string) => string])[] = [
  ["sshd", (name) => `Nov 22 06:25:01 vps sshd[1]: Invalid user ${name} from ${peer} port 40000`],
  [
    "sshd",
    (name) => `Nov 22 06:25:01 vps sshd[1]: Failed password for invalid user ${name} from ${peer} port 40000 ssh2`,
  ],
  [
    "sshd[mode=extra]",
    (name) => `Nov 22 06:25:01 vps sshd[1]: Connection closed by invalid user ${name} ${peer} port 1 [preauth]`,
  ],
  [
    "sshd[mode=ddos]",
    (name) => `Nov 22 06:25:01 vps sshd[1]: Bad protocol version identification '${name}' from ${peer} port 1`,
  ],
  [
    "dovecot",
    (name) =>
      `Nov 22 06:25:01 m dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<${name}>, method=PLAIN, rip=${peer}, lip=203.0.113.5, TLS, session=<Abc>`,
  ],
  ["dovecot", (name) => `Nov 22 06:25:01 m dovecot: auth: passwd-file(${name},${peer},<Abc>): unknown user`],
  [
    "exim",
    (name) =>
      `2026-11-22 06:25:01 login authenticator failed for (${name}) [${peer}]: 535 Incorrect authentication data (set_id=${name})`,
  ],
  [
    "exim",
    (name) =>
      `2026-11-22 06:25:01 SMTP protocol error in "AUTH ${name}" H=(x) [${peer}] AUTH command used when not advertised`,
  ],
  [
    "postfix[mode=aggressive]",
    (name) =>
      `Nov 22 06:25:01 m postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[${peer}]: 554 5.7.1 <${name}>: Relay access denied; from=<${name}> to=<a@example.org> proto=ESMTP helo=<${name}>`,
  ],
  [
    "mysqld-auth",
    (name) => `2026-11-22T06:25:01.1Z 12 [Note] Access denied for user '${name}'@'${peer}' (using password: YES)`,
  ],
  ["vsftpd", (name) => `Sun Nov 22 06:25:01 2026 [pid 1] [${name}] FAIL LOGIN: Client "${peer}"`],
  [
    "vsftpd",
    (name) =>
      `Nov 22 06:25:01 v vsftpd: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=${name} rhost=${peer}  user=${name}`,
  ],
  [
    "pam-generic",
    (name) =>
      `Nov 22 06:25:01 v vsftpd: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=${name} rhost=${peer}`,
  ],
  [
    "proftpd",
    (name) =>
      `Nov 22 06:25:01 v proftpd[1]: 203.0.113.5 (x[${peer}]) - USER ${name} (Login failed): Incorrect password`,
  ],
  [
    "pure-ftpd",
    (name) => `Nov 22 06:25:01 v pure-ftpd: (?@${peer}) [WARNING] Authentication failed for user [${name}]`,
  ],
  [
    "roundcube-auth",
    (name) => `[22-Nov-2026 06:25:01 +0000]: <abc> Failed login for ${name} from ${peer} in session abc (error: 1)`,
  ],
  [
    "roundcube-auth",
    (name) =>
      `[22-Nov-2026 06:25:01 +0000]: <abc> IMAP Error: Login failed for ${name} against localhost from ${peer}. LOGIN: no ${name} in /x.php on line 1 (POST /)`,
  ],
  // The name of basic authentication ends at its first colon.
  [
    "nginx-http-auth",
    (name) =>
      `2026/11/22 06:25:01 [error] 1#1: *4 user "${name.replaceAll(":", "")}": password mismatch, client: ${peer}, server: _, request: "GET /${name} HTTP/1.1", host: "x"`,
  ],
  [
    "nginx-botsearch",
    (name) => `${peer} - ${name} [22/Nov/2026:06:25:01 +0000] "GET /.env?${name} HTTP/1.1" 404 1 "${name}" "${name}"`,
  ],
  [
    "apache-auth",
    (name) =>
      `[Sun Nov 22 06:25:01.1 2026] [auth_basic:error] [pid 1] [client ${peer}:51000] AH01618: user ${name} not found: /${name}`,
  ],
];
const victim = "198.51.100.66";
const pieces = fc.constantFrom(
  ...[
    "root",
    " ",
    victim,
    ` from ${victim}`,
    ` port 22`,
    " ssh2",
    ": ",
    " [preauth]",
    "Failed password for ",
    ">",
    ", method=PLAIN",
  ],
  ...[
    `, rip=${victim}`,
    ", lip=203.0.113.5",
    ", session=<x>",
    "'@'",
    "' (using password: YES)",
    "]",
    "[",
    ")",
    "(",
    `[${victim}]`,
  ],
  ...[
    `,${victim},<x>)`,
    ": unknown user",
    '"',
    `FAIL LOGIN: Client "${victim}"`,
    ` rhost=${victim}`,
    "  user=x",
    " in session abc",
  ],
  ...[
    ` against x from ${victim}. LOGIN: `,
    `, client: ${victim}`,
    ", server: _",
    "': ",
    ` H=(x) [${victim}]`,
    " AUTH command used when not advertised",
  ],
  ...[
    "\\",
    "é",
    "%",
    "$",
    "^",
    " not allowed because not in any group",
    `: USER x (Login failed): `,
    ` ${victim} port 1`,
  ],
);

test("no name, however it is made up, makes a built-in filter accuse anybody but the client", {
  skip: oracleMissing() ?? false,
}, () => {
  const names = fc.sample(
    fc.array(pieces, { maxLength: 7 }).map((parts) => parts.join("")),
    { seed: 7, numRuns: 400 },
  );
  const lines = templates.flatMap(([filter, line]) => names.map((name) => ({ filter, line: line(name) })));
  const accused = matchWithFail2ban(lines).flatMap((found, index) =>
    found === null || found.ip === peer ? [] : [`${found.ip}: ${lines[index]?.line}`],
  );
  assert.deepEqual(accused, []);
});

test("every built-in jail loads without a warning once it is enabled", () => {
  const dir = mkdtempSync(join(tmpdir(), "fleet2ban-built-in-"));
  try {
    cpSync(builtInConfigDir(), dir, { recursive: true });
    writeFileSync(join(dir, "jail.local"), "[DEFAULT]\nenabled = true\n");
    const settings = loadSettings(dir, { hasJournal: false });
    assert.deepEqual(settings.broken, []);
    assert.deepEqual(settings.warnings, []);
    assert.ok(settings.jails.length >= 18);
    for (const jail of settings.jails) assert.deepEqual(jail.warnings, [], jail.name);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test("no built-in jail runs unless its operator says so", () => {
  assert.deepEqual(loadSettings(builtInConfigDir()).jails, []);
});

test("every built-in filter has a corpus, and every mode of it is free of patterns an attacker could bend", () => {
  const shared = new Set(["syslog", "common", "exim-client", "nginx-error", "web-access"]);
  const names = readdirSync(join(builtInConfigDir(), "filter.d")).map((file) => file.replace(/\.conf$/, ""));
  for (const name of names.filter((each) => !shared.has(each))) {
    assert.ok(references.includes(name), `test/corpus/${name}.log is missing`);
  }
  for (const filter of filters.values()) assert.deepEqual(lintFilter(filter), []);
});
