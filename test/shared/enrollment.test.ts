import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeEnrollmentToken, encodeEnrollmentToken, hostNameFrom } from "../../shared/enrollment.ts";
import { tokenPattern } from "../../shared/subjects.ts";

const token = {
  v: 1,
  id: "0123456789abcdef0123",
  url: "nats://192.0.2.1:4222",
  ca: null,
  orderKey: "MCow",
  jwt: "a.b.c",
  seed: "SUA",
} as const;

test("a token reads as it was written, also with the blanks of a careless copy", () => {
  const text = encodeEnrollmentToken(token);
  assert.match(text, /^f2b-enroll-[A-Za-z0-9_-]+$/);
  assert.deepEqual(decodeEnrollmentToken(`  ${text}\n`), token);
});

test("a token that is cut off, altered or something else is refused with a remedy", () => {
  const text = encodeEnrollmentToken(token);
  for (const wrong of [
    text.slice(0, -9),
    text.slice(3),
    "f2b_abc",
    "f2b-enroll-",
    `f2b-enroll-${"A".repeat(20_000)}`,
  ]) {
    assert.throws(() => decodeEnrollmentToken(wrong), /copy the whole line/);
  }
});

test("whatever a machine calls itself becomes a name the bus allows", () => {
  const hints = ["Web 1.example.com", "", "---", "a".repeat(300), "*.>", "ünïcode", "-a-"];
  for (const hint of hints) assert.match(hostNameFrom(hint), tokenPattern, hint);
  assert.equal(hostNameFrom("Web 1.example.com"), "web-1-example-com");
});
