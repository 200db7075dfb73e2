import assert from "node:assert/strict";
import { test } from "node:test";
import { clockAt, failureOf, filterOf, noon, noonMs } from "./filter-support.ts";

/** A daemon that tells in several lines what happened on one connection. */
function daemon() {
  const filter = filterOf({
    prefRegex: "^ <F-MLFID>c\\d+</F-MLFID>: <F-CONTENT>.+</F-CONTENT>$",
    failRegex: [
      "^<F-NOFAIL>connect</F-NOFAIL> from <ADDR>$",
      "^fail <F-USER>\\w+</F-USER>$",
      "^<F-NOFAIL>try</F-NOFAIL> <F-USER>\\w+</F-USER> from <ADDR>$",
      "^<F-MLFGAINED>welcome</F-MLFGAINED> <F-USER>\\w+</F-USER>$",
      "^<F-NOFAIL><F-MLFFORGET>closed</F-MLFFORGET></F-NOFAIL> by <ADDR>$",
    ],
  });
  return (text: string, atMs = noonMs) => filter.match(`${noon} ${text}`, clockAt(atMs));
}

test("a failure takes the address of its connection, and the lines before it", () => {
  const feed = daemon();
  assert.equal(feed("c1: connect from 192.0.2.1").kind, "nofail");
  const failure = failureOf(feed("c1: fail root"));
  assert.equal(failure?.id, "192.0.2.1");
  assert.equal(failure?.user, "root");
  assert.equal(failure?.lines.length, 2);
});

test("every failure of a connection is told once", () => {
  const feed = daemon();
  feed("c1: connect from 192.0.2.1");
  feed("c1: fail root");
  assert.deepEqual(failureOf(feed("c1: fail root"))?.lines, [`${noon} c1: fail root`]);
});

test("a failure without an address waits for it", () => {
  const feed = daemon();
  assert.equal(feed("c1: fail root").kind, "pending");
  assert.equal(feed("c1: fail root").kind, "pending");
  const failure = failureOf(feed("c1: closed by 192.0.2.1"));
  assert.equal(failure?.id, "192.0.2.1");
  assert.equal(failure?.lines.length, 3);
});

test("a success forgives what was no failure by itself", () => {
  const feed = daemon();
  feed("c1: try bob from 192.0.2.1");
  assert.equal(feed("c1: welcome bob").kind, "nofail");
});

test("several users on one connection are never forgiven", () => {
  const feed = daemon();
  feed("c1: try bob from 192.0.2.1");
  const failure = failureOf(feed("c1: try eve from 192.0.2.1"));
  assert.equal(failure?.id, "192.0.2.1");
  assert.deepEqual([...(failure?.users ?? [])], ["bob", "eve"]);
});

test("a closed connection is forgotten", () => {
  const feed = daemon();
  feed("c1: connect from 192.0.2.1");
  feed("c1: closed by 192.0.2.1");
  assert.equal(feed("c1: fail root").kind, "pending");
});

test("connections are forgotten after five minutes", () => {
  const feed = daemon();
  feed("c1: connect from 192.0.2.1");
  assert.equal(feed("c1: fail root", noonMs + 299_999).kind, "failure");
  assert.equal(feed("c1: fail root", noonMs + 300_000).kind, "pending");
});

test("the hundred and first connection displaces the oldest", () => {
  const feed = daemon();
  for (let index = 1; index <= 101; index += 1) feed(`c${index}: connect from 192.0.2.1`);
  assert.equal(feed("c2: fail root").kind, "failure");
  assert.equal(feed("c1: fail root").kind, "pending");
});

test("the lines kept of one connection are bounded", () => {
  const feed = daemon();
  for (let index = 0; index < 300; index += 1) feed("c1: fail root");
  assert.equal(failureOf(feed("c1: closed by 192.0.2.1"))?.lines.length, 100);
});
