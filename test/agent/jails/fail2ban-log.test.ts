import assert from "node:assert/strict";
import { test } from "node:test";
import { formatFail2banLine, type LogEvent } from "../../../agent/jails/fail2ban-log.ts";
import { inTimezone } from "../dates/in-timezone.ts";

const nowMs = Date.parse("2026-11-22T06:34:39.046Z");
const atMs = Date.parse("2026-11-22T02:50:58Z");
const about = { jail: "sshd", id: "192.0.2.1" } as const;

test("lines have fail2ban's columns and words", () => {
  const cases: [LogEvent, string][] = [
    [{ ...about, kind: "found", atMs }, "filter         [7]: INFO    [sshd] Found 192.0.2.1 - 2026-11-22 02:50:58"],
    [{ ...about, kind: "attempt", atMs }, "filter         [7]: INFO    [sshd] Attempt 192.0.2.1 - 2026-11-22 02:50:58"],
    [{ ...about, kind: "ignored", by: "ip" }, "filter         [7]: INFO    [sshd] Ignore 192.0.2.1 by ip"],
    [{ ...about, kind: "ban" }, "actions        [7]: NOTICE  [sshd] Ban 192.0.2.1"],
    [{ ...about, kind: "restore" }, "actions        [7]: NOTICE  [sshd] Restore Ban 192.0.2.1"],
    [{ ...about, kind: "unban" }, "actions        [7]: NOTICE  [sshd] Unban 192.0.2.1"],
    [{ ...about, kind: "already-banned" }, "actions        [7]: NOTICE  [sshd] 192.0.2.1 already banned"],
    [
      { ...about, kind: "increase", bans: 2, banTimeMs: 7_200_000, untilMs: atMs },
      "observer       [7]: NOTICE  [sshd] Increase Ban 192.0.2.1 (2 # 2h -> 2026-11-22 02:50:58)",
    ],
    [
      { ...about, kind: "found-bad", atMs, earlierBans: 1, weight: 2, bans: true },
      "observer       [7]: INFO    [sshd] Found 192.0.2.1, bad - 2026-11-22 02:50:58, 1 # -> 2.0, Ban",
    ],
  ];
  inTimezone("UTC", () => {
    for (const [event, expected] of cases) {
      assert.equal(formatFail2banLine(event, nowMs, 7), `2026-11-22 06:34:39,046 fail2ban.${expected}`);
    }
  });
});

test("an id from an attacker cannot start a line of its own", () => {
  const line = formatFail2banLine({ kind: "ban", jail: "x", id: "a\n2026 Ban 192.0.2.9\r\u2028\u0085" }, nowMs, 7);
  assert.match(line, /Ban a\?2026 Ban 192\.0\.2\.9\?\?\?$/);
});
