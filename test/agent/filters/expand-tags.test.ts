import assert from "node:assert/strict";
import { test } from "node:test";
import { expandTags } from "../../../agent/filters/expand-tags.ts";
import { PythonRegex } from "../../../agent/filters/python-regex.ts";

function groupsOf(regex: string, text: string, names = true): Record<string, string> | null {
  const compiled = new PythonRegex(expandTags(regex, names), { multiline: false });
  const match = compiled.search(`${text}\n`, true);
  if (match === null) return null;
  const found = [...compiled.groups].flatMap(([name, number]) => {
    const group = match[number];
    return group === undefined ? [] : [[name, group]];
  });
  return Object.fromEntries(found);
}

for (const [rule, regex, text, groups] of [
  ["<HOST> takes IPv4", "^<HOST>$", "192.0.2.1", { ip4: "192.0.2.1" }],
  ["<HOST> takes mapped IPv4 without its prefix", "^<HOST>$", "::ffff:192.0.2.1", { ip4: "192.0.2.1" }],
  ["<HOST> takes IPv6 in brackets", "^<HOST>$", "[2001:db8::1]", { ip6: "2001:db8::1" }],
  ["<HOST> takes IPv6 that ends with colons", "^<HOST>$", "2001:db8::", { ip6: "2001:db8::" }],
  ["<HOST> takes names", "^<HOST>$", "mail.example.com", { dns: "mail.example.com" }],
  ["<HOST> takes octets out of range, to be judged later", "^<HOST>$", "999.1.1.1", { ip4: "999.1.1.1" }],
  ["<ADDR> takes no names", "^<ADDR>$", "mail.example.com", null],
  ["<SUBNET> takes a prefix", "^<SUBNET>$", "192.0.2.0/24", { ip4: "192.0.2.0", cidr: "24" }],
  ["<ADDR>/<CIDR> likewise", "^<ADDR>/<CIDR>$", "192.0.2.0/24", { ip4: "192.0.2.0", cidr: "24" }],
  ["<F-ID> is any text", "^<F-ID>.+</F-ID>$", "a b", { fid: "a b" }],
  ["<F-ID/> is a word", "^<F-ID/> ", "a b", { fid: "a" }],
  ["<F-PORT/> is a port", "^<F-PORT/>$", "22", { fport: "22" }],
  ["other tags are groups of their name", "^<F-ALT_USER>x</F-ALT_USER>$", "x", { alt_user: "x" }],
  ["a closing tag without opener stays", "^</F-USER>$", "</F-USER>", {}],
  ["unknown tags stay", "^<W> <F-user>$", "<W> <F-user>", {}],
  ["Python's groups stay", "^(?P<user>x)$", "x", { user: "x" }],
  ["inner flags become scoped", "^((?i)abc)d$", "ABCd", {}],
] as const) {
  test(rule, () => assert.deepEqual(groupsOf(regex, text), groups));
}

test("without names <HOST> takes addresses only", () => {
  assert.equal(groupsOf("^<HOST>$", "mail.example.com", false), null);
  assert.deepEqual(groupsOf("^<HOST>$", "192.0.2.1", false), { ip4: "192.0.2.1" });
});

test("<SKIPLINES> numbers its groups", () => {
  const regex = new PythonRegex(expandTags("^a<SKIPLINES>b<SKIPLINES>c", true), { multiline: true });
  const match = regex.search("a\nx\ny\nb\nc\n", true);
  assert.equal(match?.[regex.groups.get("skiplines0") ?? 0], "x\ny\n");
  assert.equal(match?.[regex.groups.get("skiplines1") ?? 0], "");
});
