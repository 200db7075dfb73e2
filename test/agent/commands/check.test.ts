import assert from "node:assert/strict";
import { test } from "node:test";
import { openAgentFolder } from "./command-support.ts";

const jail = (options: string) => ({
  "jail.conf": `[good]\nenabled = true\nfilter = f\nlogpath = /x\n[bad]\nenabled = true\nfilter = f\nlogpath = /x\n${options}`,
  "filter.d/f.conf": "[Definition]\nfailregex = ^bad <HOST>$\n",
});

for (const [what, options, sentence] of [
  [
    "a formula that is no arithmetic",
    "bantime.increment = 1\nbantime.formula = ban.Time'\n",
    /bantime\.formula "ban\.Time'"/,
  ],
  ["a regex that Python refuses", "failregex = ^bad (<HOST>$\n", /failregex 1: .*parenthesis/],
  ["a time zone that is none", "logtimezone = Mars\n", /logtimezone: "Mars"/],
  ["a backend that is none", "backend = inotify\n", /jail\.conf:9: \[bad\] backend: "inotify"/],
  ["an address in loops within loops", "failregex = ^(?:x(?: <HOST>|b)*)*$\n", /"ip4" stands in a repetition/],
] as const) {
  test(`check ends with 78 for ${what}, names it, and the other jail runs`, async () => {
    using agent = openAgentFolder(jail(options));
    const { code, stdout } = await agent.run("check");
    assert.equal(code, 78, stdout);
    assert.match(stdout, /jail bad: DOES NOT RUN\n/);
    assert.match(stdout, sentence);
    assert.match(stdout, /1 jail runs, 1 broken/);
  });
}
