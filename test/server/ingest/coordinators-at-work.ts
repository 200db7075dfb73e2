import assert from "node:assert/strict";
import { insertApiToken } from "../../../server/store/tokens.ts";
import type { Program } from "../../support/program.ts";
import { waitFor } from "../../support/wait-for.ts";
import type { Coordinators } from "./coordinators.ts";

const failure = (index: number) => ({
  ...{ atMs: Date.now(), jail: "sshd", count: 1 },
  address: `2001:db8:${index.toString(16)}::1`,
});

/** Lets the hosts send one offender after the other until told to stop. */
export function sendOn({ hosts }: Coordinators) {
  let isOver = false;
  let offenders = 0;
  const sending = (async () => {
    while (!isOver) {
      offenders += 1;
      const index = offenders;
      await Promise.all(hosts.map((host) => host.send([failure(index)])));
    }
  })();
  return {
    offenders: () => offenders,
    async stop(): Promise<void> {
      isOver = true;
      await sending;
    },
  };
}

export function addressOf(program: Program): string {
  return /coordinator: (\S+)/.exec(program.stdout())?.[1] ?? assert.fail(program.stdout());
}

export async function tokenFor({ store }: Coordinators): Promise<string> {
  const admin = { name: "anna", role: "admin", tenant: null, createdMs: Date.now(), untilMs: null } as const;
  return (await insertApiToken(store, admin)).token;
}

export async function ask(program: Program, token: string, path: string, init: RequestInit = {}) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const response = await fetch(`${addressOf(program)}${path}`, { ...init, headers });
  return { status: response.status, text: await response.text() };
}

/** Lines this process has judged, as its metrics say. */
export async function linesOf(program: Program): Promise<number> {
  const metrics = await (await fetch(`${addressOf(program)}/metrics`)).text();
  return [...metrics.matchAll(/^f2b_failures_total\{[^}]*\} (\d+)/gm)].reduce(
    (sum, [, lines]) => sum + Number(lines),
    0,
  );
}

export async function shared(fleet: Coordinators, shares: readonly number[]): Promise<void> {
  const isSo = async () => (await fleet.shares()).join() === shares.join();
  await waitFor(isSo, `shares of ${shares.join()}`, 60_000);
}

/** What is wrong with what was counted and banned; handed-over failures may still be on their way. */
export async function wrongs(fleet: Coordinators, offenders: number): Promise<readonly string[]> {
  const find = async (): Promise<readonly string[]> => {
    const [bans] = await fleet.store.rows<{ count: number }>("select count(*) as count from bans");
    const missing = bans?.count === offenders ? [] : [`${offenders} offenders, ${bans?.count} bans`];
    return [...(await fleet.miscounted()), ...(await fleet.disorder()), ...missing];
  };
  await waitFor(async () => (await find()).length === 0, "everything to be judged").catch(() => undefined);
  return find();
}

export async function goOn(traffic: ReturnType<typeof sendOn>, what: string): Promise<void> {
  const reached = traffic.offenders();
  await waitFor(() => traffic.offenders() > reached + 5, what, 60_000);
}
