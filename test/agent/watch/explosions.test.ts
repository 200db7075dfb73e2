import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Trouble } from "../../../agent/filters/watchdog.ts";
import { loadFilter } from "../../../agent/settings/load-settings.ts";
import { LogLines } from "../../../agent/watch/log-lines.ts";
import { withoutFail2ban } from "../fail2ban-oracle.ts";
import { clockAt, noonMs } from "../filters/filter-support.ts";
import { jailOf } from "./jail-support.ts";

/** Shorter than the agent's own, so that the test is short. */
const limits = { batchMs: 300, lineMs: 200, cpuShareMin: 0.01 };

/** By filter: a line that explodes, through the gate, too, and one that is a failure. */
const lines: readonly (readonly [reference: string, exploding: string, failure: (ip: string) => string])[] = [
  [
    "dovecot",
    `Mar  1 12:00:00 h dovecot: imap-login: Disconnected${": a".repeat(40)} (auth failed, x`,
    (ip) =>
      `Mar  1 12:00:00 h dovecot: imap-login: Aborted login (auth failed, 1 attempts): user=<a>, rip=${ip}, lip=203.0.113.1`,
  ],
  [
    "domino-smtp",
    `01-03-2026 12:00:00   smtp: ${"a ".repeat(60)}authentication failure using internet password!`,
    (ip) => `01-03-2026 12:00:00   smtp: a [${ip}] authentication failure using internet password`,
  ],
  [
    "grafana",
    `t=2026-03-01T12:00:00+0000 lvl=eror msg="Invalid username or password"${" a=b=c".repeat(60)} remote_addr=!`,
    (ip) => `t=2026-03-01T12:00:00+0000 lvl=eror msg="Invalid username or password" uname=a remote_addr=${ip}`,
  ],
  [
    "courier-auth",
    `Mar  1 12:00:00 h imapd: LOGIN FAILED, ${"user=a, ".repeat(60)}ip=[!`,
    (ip) => `Mar  1 12:00:00 h imapd: LOGIN FAILED, user=a, ip=[${ip}]`,
  ],
  [
    "sshd[logtype=rfc5424]",
    `<38>1 2026-03-01T12:00:00Z h sshd 1 - [${"a".repeat(60)} Failed password for root`,
    (ip) => `<38>1 2026-03-01T12:00:00Z h sshd 2 - - Failed password for root from ${ip} port 1 ssh2`,
  ],
];

describe("a line that explodes in the agent's whole path", { skip: withoutFail2ban }, () => {
  for (const [reference, exploding, failure] of lines) {
    test(`${reference}: it is stopped and reported, and the lines around it are counted`, () => {
      const troubles: Trouble[] = [];
      const jail = jailOf({ filter: loadFilter("/etc/fail2ban", reference) });
      const log = new LogLines([jail], (trouble) => troubles.push(trouble), limits);
      const chunk = Buffer.from(`${failure("192.0.2.1")}\n${exploding}\n${failure("192.0.2.2")}\n`);
      const ids: string[] = [];
      log.find(chunk, ["/log"], clockAt(noonMs), (_, { id }) => ids.push(id));
      assert.deepEqual(ids, ["192.0.2.1", "192.0.2.2"]);
      assert.deepEqual(
        troubles.map(({ kind }) => kind),
        ["skipped"],
      );
    });
  }
});
