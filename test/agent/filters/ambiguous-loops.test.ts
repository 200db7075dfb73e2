import assert from "node:assert/strict";
import { test } from "node:test";
import { hasAmbiguousLoop } from "../../../agent/filters/ambiguous-loops.ts";
import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import { parsePythonRegex } from "../../../agent/filters/python-regex-parser.ts";
import { loadFilter } from "../../../agent/settings/load-settings.ts";
import { withoutFail2ban } from "../fail2ban-oracle.ts";
import { filterOf } from "./filter-support.ts";

for (const [regex, ambiguous] of [
  ["^(?:a+)+b$", true],
  ["^(?:a*)*b$", true],
  ["^(?:a|a)*b$", true],
  ["^(?:a|ab|b)*c$", true],
  ["^(?:\\w+\\s?)*:$", true],
  ["^(?:x=\\S*|\\S+=y ?)*$", true],
  ["^(?i:(?:a|A)*)b$", true],
  ["^(?:a+){20}b$", true],
  ["^a*a*b$", false],
  ["^(?:\\w+\\s)*:$", false],
  ["^(?:a|b)*c$", false],
  ["^(?:(?!x).)*x$", false],
  ["^(?:a+){3}b$", false],
  ["^(?:[a-z]+=\\d+;)*$", false],
  ['^(?:[^"\\\\]|\\\\.)*"$', false],
] as const) {
  test(`${regex} ${ambiguous ? "explodes" : "does not explode"}`, () => {
    assert.equal(hasAmbiguousLoop(parsePythonRegex(regex, { multiline: false }).root), ambiguous);
  });
}

test("a regex too large to judge is left to the watchdog", () => {
  const alternatives = Array.from({ length: 150 }, (_, index) => `x${index}`).join("|");
  assert.equal(hasAmbiguousLoop(parsePythonRegex(`^(?:${alternatives})*$`, { multiline: false }).root), false);
});

test("the warning names filter and regex", () => {
  const [warning, ...more] = filterOf({ name: "bad", failRegex: ["^ good <ADDR>$", "^ (?:a+)+ <ADDR>$"] }).warnings;
  assert.match(warning ?? "", /^filter "bad": failregex 2: a loop in it /);
  assert.deepEqual(more, []);
});

test("the explosions known in fail2ban's own filters are found", { skip: withoutFail2ban }, () => {
  const known = ["dovecot", "domino-smtp", "grafana", "courier-auth", "sshd[logtype=rfc5424]"];
  const warned = [...known, "sshd", "postfix[mode=aggressive]", "nginx-http-auth", "vsftpd"].filter((reference) =>
    compileFilter(loadFilter("/etc/fail2ban", reference), { useDns: "no", timezone: null }).warnings.some((warning) =>
      warning.includes("a loop in it"),
    ),
  );
  assert.deepEqual(warned, known);
});
