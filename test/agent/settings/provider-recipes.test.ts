import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import { createLogFilters } from "../../../agent/filters/filter-log.ts";
import type { FoundFailure } from "../../../agent/filters/found-failure.ts";
import { createIgnoreList } from "../../../agent/jails/ignore-list.ts";
import { replayJail } from "../../../agent/jails/replay.ts";
import type { JailSettings, Settings } from "../../../agent/settings/jail-settings.ts";
import { builtInConfigDir, loadSettings } from "../../../agent/settings/load-settings.ts";
import { noonMs } from "../filters/filter-support.ts";
import { noWorld } from "../watch/jail-support.ts";

/** What hosting providers' guides tell their customers to write, in our own words. */
const jailLocal = (banAction: string) => `
[DEFAULT]
ignoreip = 127.0.0.1/8 ::1 198.51.100.0/24
bantime = 1h
findtime = 10m
maxretry = 3
banaction = ${banAction}

[sshd]
enabled = true
logpath = /var/log/auth.log

[exim]
enabled = true
logpath = /var/log/exim4/mainlog

[postfix]
enabled = true
logpath = /var/log/mail.log
failregex = %(known/failregex)s
            RCPT from \\S+\\[<HOST>\\]: 450 4\\.1\\.2 .*Domain not found

[dovecot]
enabled = true
logpath = /var/log/mail.log

[sasl]
enabled = true
port = smtp,465,submission,imap,imaps,pop3,pop3s
filter = guide-sasl
logpath = /var/log/mail.log

[f2b-repeat2]
enabled = true
filter = f2b-repeat
banaction = %(banaction_allports)s
logpath = /var/log/fail2ban.log
bantime = 1d
findtime = 7d
maxretry = 3

[f2b-repeat3]
enabled = true
filter = f2b-repeat
banaction = %(banaction_allports)s
logpath = /var/log/fail2ban.log
bantime = 1w
findtime = 30d
maxretry = 3

[f2b-repeat4]
enabled = true
filter = f2b-repeat
banaction = %(banaction_allports)s
logpath = /var/log/fail2ban.log
bantime = 1mo
findtime = 180d
maxretry = 3
`;

const filterFiles: Readonly<Record<string, string>> = {
  "guide-sasl.conf": `[Definition]
failregex = (?i): warning: [-._\\w]+\\[<HOST>\\]: SASL (?:LOGIN|PLAIN|(?:CRAM|DIGEST)-MD5) authentication failed(: [ A-Za-z0-9+/:]*={0,2})?\\s*$
ignoreregex =
`,
  "exim.local": `[Definition]
failregex = %(known/failregex)s
    ^%(pid)s %(host_info)srejected EHLO or HELO \\S+: forged$
    ^%(pid)s \\w+ authenticator failed for \\S+ \\[<HOST>\\]: 454 .*$
`,
  "f2b-repeat.conf": `[INCLUDES]
before = common.conf

[Definition]
failregex = fail2ban\\.actions\\s+\\[\\d+\\]: NOTICE\\s+\\[(?!f2b-repeat)[^\\]]+\\] Ban <HOST>\\s*$
ignoreregex =
`,
};

const attacker = "192.0.2.7";
const bystander = "203.0.113.9";
const dayOf = (day: number) => `2026-02-${String(day).padStart(2, "0")}`;
const three = (line: (second: number) => string) => [1, 2, 3].map(line);
const banLine = (date: string, jail: string, ip: string, word = "Ban") =>
  `${date} 10:00:00,123 fail2ban.actions        [812]: NOTICE  [${jail}] ${word} ${ip}`;

/** Lines for which the jail bans the attacker and nobody else. */
const logs: Readonly<Record<string, readonly string[]>> = {
  sshd: [
    ...three(
      (second) => `Mar  1 11:00:0${second} h sshd[${second}]: Failed password for root from ${attacker} port 4000 ssh2`,
    ),
    ...three(
      (second) => `Mar  1 11:01:0${second} h sshd[2${second}]: Accepted password for al from ${bystander} port 1 ssh2`,
    ),
    ...three(
      (second) => `Mar  1 11:02:0${second} h sshd[3${second}]: Failed password for root from 198.51.100.3 port 1 ssh2`,
    ),
  ],
  exim: [
    `2026-03-01 11:00:01 login authenticator failed for (x) [${attacker}]: 535 Incorrect authentication data (set_id=al)`,
    `2026-03-01 11:00:02 H=(x) [${attacker}] rejected EHLO or HELO x: forged`,
    `2026-03-01 11:00:03 plain authenticator failed for x.example.net [${attacker}]: 454 later`,
    ...three(
      (second) => `2026-03-01 11:01:0${second} 1abcde-000abc-Xy <= al@example.net H=(x) [${bystander}] P=esmtp S=1`,
    ),
  ],
  postfix: [
    `Mar  1 11:00:01 h postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[${attacker}]: 554 5.7.1 <a@example.org>: Relay access denied; from=<b@example.net> to=<a@example.org> proto=ESMTP helo=<x>`,
    ...[2, 3].map(
      (second) =>
        `Mar  1 11:00:0${second} h postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[${attacker}]: 450 4.1.2 <a@nowhere.example>: Recipient address rejected: Domain not found; from=<b@example.net> to=<a@nowhere.example> proto=ESMTP helo=<x>`,
    ),
    ...three((second) => `Mar  1 11:01:0${second} h postfix/smtpd[1]: disconnect from mx.example.net[${bystander}]`),
  ],
  dovecot: [
    ...three(
      (second) =>
        `Mar  1 11:00:0${second} h dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<al>, method=PLAIN, rip=${attacker}, lip=203.0.113.1, TLS, session=<abc>`,
    ),
    ...three(
      (second) =>
        `Mar  1 11:01:0${second} h dovecot: imap-login: Login: user=<al>, method=PLAIN, rip=${bystander}, lip=203.0.113.1, mpid=1, TLS, session=<abc>`,
    ),
  ],
  sasl: [
    ...["LOGIN", "login", "CRAM-MD5"].map(
      (kind, index) =>
        `Mar  1 11:00:0${index} h postfix/smtpd[1]: warning: unknown[${attacker}]: SASL ${kind} authentication failed: UGFzc3dvcmQ6`,
    ),
    ...three(
      (second) =>
        `Mar  1 11:01:0${second} h postfix/smtpd[1]: warning: mx[${bystander}]: SASL LOGIN authentication failed: Connection lost to authentication server, retry`,
    ),
  ],
  "f2b-repeat2": [
    ...[1, 3, 7].map((day) => banLine(dayOf(day), "sshd", attacker)),
    ...[1, 3].map((day) => banLine(dayOf(day), "sshd", bystander)),
    ...[1, 2, 3].map((day) => banLine(dayOf(day), "f2b-repeat3", bystander)),
    ...[1, 2, 3].map((day) => banLine(dayOf(day), "sshd", bystander, "Unban")),
  ],
  "f2b-repeat3": [1, 14, 27].map((day) => banLine(dayOf(day), "exim", attacker)),
  "f2b-repeat4": ["2025-10-01", "2025-12-24", "2026-03-01"].map((date) => banLine(date, "sasl", attacker)),
};

function bansOf(jail: JailSettings, lines: readonly string[]): string[] {
  const filter = compileFilter({ ...jail.filter, dateless: false }, { useDns: "no", timezone: "UTC" });
  // fail2ban's own exim and dovecot filters hold loops that explode; the recipes must leave out nothing.
  assert.deepEqual(
    filter.warnings.filter((warning) => !warning.includes("a loop in it")),
    [],
  );
  const found: FoundFailure[] = [];
  const report = (trouble: unknown) => assert.fail(JSON.stringify(trouble));
  const clock = { nowMs: noonMs, mode: "any", findTimeMs: 0 } as const;
  const inOrder = lines.toSorted((one, other) => (one.slice(0, 19) < other.slice(0, 19) ? -1 : 1));
  createLogFilters([filter], { report }).process(
    Buffer.from(inOrder.map((line) => `${line}\n`).join("")),
    clock,
    (_task, outcome) => {
      if (outcome.kind === "failure") found.push(outcome.failure);
    },
  );
  return [...replayJail(jail, createIgnoreList(jail, noWorld), found)].map(({ id, bantime }) => `${id} for ${bantime}`);
}

const stock = "/etc/fail2ban";
const bases = [
  ["our own library", builtInConfigDir(), false],
  ["the installed fail2ban's files", stock, existsSync(join(stock, "jail.conf")) ? false : "fail2ban is not installed"],
] as const;

for (const [name, base, skip] of bases) {
  for (const banAction of ["iptables-multiport", "ufw", "firewallcmd-ipset"]) {
    describe(`a provider's recipes with ${banAction} over ${name}`, { skip }, () => {
      const dir = mkdtempSync(join(tmpdir(), "fleet2ban-recipes-"));
      let settings: Settings;
      before(() => {
        cpSync(base, dir, { recursive: true });
        rmSync(join(dir, "jail.d"), { recursive: true, force: true });
        mkdirSync(join(dir, "filter.d"), { recursive: true });
        writeFileSync(join(dir, "jail.local"), jailLocal(banAction));
        for (const [file, text] of Object.entries(filterFiles)) writeFileSync(join(dir, "filter.d", file), text);
        settings = loadSettings(dir, { hasJournal: false });
      });
      after(() => rmSync(dir, { recursive: true, force: true }));

      test("every jail runs, and stops packets on the ports it names", () => {
        assert.deepEqual(settings.broken, []);
        assert.deepEqual(settings.jails.map((jail) => jail.name).toSorted(), Object.keys(logs).toSorted());
        for (const jail of settings.jails) {
          const [action] = jail.actions;
          assert.equal(action?.kind, "firewall", jail.name);
          const everyPort = banAction === "ufw" || jail.name.startsWith("f2b-repeat");
          assert.equal(action?.kind === "firewall" && action.ports === null, everyPort, jail.name);
        }
      });

      test("each jail bans who attacks it, as long as it says, and nobody else", () => {
        const hours: Readonly<Record<string, number>> = { "f2b-repeat2": 24, "f2b-repeat3": 168, "f2b-repeat4": 730.5 };
        for (const jail of settings.jails) {
          const seconds = (hours[jail.name] ?? 1) * 3600;
          assert.deepEqual(bansOf(jail, logs[jail.name] ?? []), [`${attacker} for ${seconds}`], jail.name);
        }
      });

      test("one failure less bans nobody", () => {
        for (const jail of settings.jails) {
          const lines = (logs[jail.name] ?? []).filter((line) => line.includes(attacker)).slice(1);
          assert.deepEqual(bansOf(jail, lines), [], jail.name);
        }
      });
    });
  }
}
