import assert from "node:assert/strict";
import { test } from "node:test";
import { commandFor, fillDynamicTags } from "../../../agent/actions/fill-tags.ts";

const variable = (name: string) => `\${f2bV_${name}}`;
const values = (...entries: [string, string][]) => new Map(entries);

test("an option for the family of the address comes before the general one", () => {
  const options = { actionban: "<tool> <ip>", tool: "four", "tool?family=inet6": "six" };
  assert.equal(commandFor(options, "actionban", "inet4"), "four <ip>");
  assert.equal(commandFor(options, "actionban", "inet6"), "six <ip>");
  assert.equal(commandFor(options, "actionban", ""), "four <ip>");
});

test("an option for a family may be empty", () => {
  const options = { actionban: "x", "actionban?family=inet6": "" };
  assert.equal(commandFor(options, "actionban", "inet6"), "");
});

test("options that refer to each other in a circle are refused", () => {
  assert.throws(() => commandFor({ actionban: "<a>", a: "<b>", b: "<a>" }, "actionban", ""), /circle/);
});

test("tags of the log's text wait for the ban, whatever options have their names", () => {
  const options = { actionban: "<matches> <bantime>", matches: "no", bantime: "no" };
  assert.equal(commandFor(options, "actionban", ""), "<matches> <bantime>");
});

test("a tag named like a property of every object is no option", () => {
  assert.equal(commandFor({ actionban: "<toString> <constructor>" }, "actionban", ""), "<toString> <constructor>");
});

test("harmless values are pasted, so quotes of any kind around a tag work as in fail2ban", () => {
  const { text, variables } = fillDynamicTags(
    "report '<ip>' \"<failures>\" <bantime>",
    values(["ip", "2001:db8::1"], ["failures", "3"], ["bantime", "-1"]),
    new Map(),
  );
  assert.equal(text, "report '2001:db8::1' \"3\" -1");
  assert.deepEqual(variables, {});
});

for (const hostile of [
  "$(id)",
  "`id`",
  "a;b",
  "a|b",
  "a&b",
  "a>b",
  "a<b",
  "a\nb",
  "'",
  '"',
  "\\",
  "*",
  "?",
  "~",
  "#",
  "{",
  "[",
  "a\tb",
  "a\rb",
  "a\u0000b",
]) {
  test(`never pastes what a shell could take for more than text: ${JSON.stringify(hostile)}`, () => {
    const { text, variables } = fillDynamicTags(
      "say <matches> <F-USER>",
      values(["matches", hostile]),
      values(["user", hostile]),
    );
    assert.equal(text, `say ${variable("matches")} ${variable("F_user")}`);
    const kept = hostile.replaceAll("\0", "");
    assert.deepEqual(variables, { f2bV_matches: kept, f2bV_F_user: kept });
  });
}

test("tags inside a value are text", () => {
  const { text, variables } = fillDynamicTags(
    "say <fid> <ip>",
    values(["fid", "<ip>"], ["ip", "192.0.2.1"]),
    new Map(),
  );
  assert.equal(text, `say ${variable("fid")} 192.0.2.1`);
  assert.deepEqual(variables, { f2bV_fid: "<ip>" });
});

test("groups the filter did not catch are empty, unknown tags stay", () => {
  const { text } = fillDynamicTags(
    "[<F-USER>][<F-ID>][<F-PORT>] <file<br>",
    values(),
    values(["fid", "x"], ["fport", "22"]),
  );
  assert.equal(text, "[][x][22] <file\n");
});

test("a value longer than a variable may be keeps its end", () => {
  const { variables } = fillDynamicTags("<matches>", values(["matches", `${"\n".repeat(200_000)}end`]), new Map());
  assert.equal(variables.f2bV_matches?.length, 30_000);
  assert.ok(variables.f2bV_matches?.endsWith("end"));
});
