import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { createJudge } from "../../../server/domain/create-judge.ts";
import { parsePolicy } from "../../../server/domain/policy.ts";
import { contains, parseNet } from "../../../shared/address.ts";
import { decide, type Event, start } from "./story.ts";

/** `FLEET2BAN_REAL_LOGS=DIR`, with a folder per log and an `auth.log` in each. */
const given = process.env.FLEET2BAN_REAL_LOGS;
const folder = given === undefined ? new URL("../../../../shared/data/", import.meta.url) : pathToFileURL(`${given}/`);
const hosts = 100;

/** What each attempt leaves in either log. For counting here only; filters are the agent's. */
const pattern =
  /^(\w{3} [ \d]\d \S+) \S+ sshd\[\d+\]: (?:Failed password for|Invalid user) .* from (\S+)(?: port \d+ ssh2)?$/;

/** Failures with their second of the year. */
function failuresOf(log: string): { at: number; ip: string }[] {
  return readFileSync(new URL(`${log}/auth.log`, folder), "utf8")
    .split("\n")
    .flatMap((line) => {
      const [, date, ip] = pattern.exec(line) ?? [];
      if (date === undefined || ip === undefined) return [];
      return [{ at: start + (Date.parse(`2001 ${date} UTC`) - Date.UTC(2001, 0)) / 1000, ip }];
    })
    .toSorted((one, other) => one.at - other.at);
}

/** The nets banned when the failures come in by these tenants and hosts. No network rule: it is about single offenders. */
function bannedBy(events: readonly Event[]): Set<string> {
  const judge = createJudge(parsePolicy({ networks: { ipv4: null } }, "policy"));
  return new Set(decide(judge, events).flatMap((decision) => (decision.kind === "ban" ? [decision.net] : [])));
}

for (const log of ["auth-elastic", "auth-gtkcyber"]) {
  const skip = existsSync(new URL(`${log}/auth.log`, folder)) ? false : "real logs are not part of the repository";
  test(`${log}: spread over ${hosts} hosts, the fleet sees every offender and the hosts by themselves few`, {
    skip,
  }, (context) => {
    const failures = failuresOf(log).map((failure, index) => ({
      kind: "failure",
      jail: "sshd",
      host: `h${index % hosts}`,
      ...failure,
    }));
    const onOneHost = bannedBy(failures.map((failure) => ({ ...failure, host: "h0" })));
    const fleet = bannedBy(failures);
    // Each host a tenant of its own: nothing is added up.
    const alone = bannedBy(failures.map((failure) => ({ ...failure, tenant: failure.host })));

    const row = (who: string, seen: ReadonlySet<string>) =>
      context.diagnostic(`${who.padEnd(36)} ${seen.size} offenders`);
    context.diagnostic(`${log}: ${failures.length} failures over ${hosts} hosts, sshd, 3 in an hour`);
    row("one host that sees everything", onOneHost);
    row(`each of ${hosts} hosts by itself`, alone);
    row(`the coordinator of the ${hosts} hosts`, fleet);
    assert.ok(onOneHost.size >= 5, `${onOneHost.size} offenders in ${failures.length} failures`);
    for (const text of onOneHost) {
      const offender = parseNet(text) ?? assert.fail(text);
      assert.ok(
        [...fleet].some((net) => contains(parseNet(net) ?? assert.fail(net), offender)),
        text,
      );
    }
    assert.ok(alone.size * 4 <= onOneHost.size, `${alone.size} of ${onOneHost.size} seen by the hosts alone`);
  });
}
