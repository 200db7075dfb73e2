import assert from "node:assert/strict";
import { test } from "node:test";
import { createEvents } from "../../../server/events.ts";
import { HostDirectory } from "../../../server/hosts/host-directory.ts";
import { collectStatusReports } from "../../../server/hosts/status-reports.ts";
import { findHost, type HostReport, insertHost, recordReports } from "../../../server/store/hosts.ts";
import { insertTenant } from "../../../server/store/tenants.ts";
import { encodeMessage, type StatusReport } from "../../../shared/fleet-messages.ts";
import { freshStore } from "../../support/database.ts";
import { testLog } from "../../support/nats.ts";
import { waitFor } from "../../support/wait-for.ts";

const quiet = {
  record: () => Promise.resolve(),
  notice: () => [],
  now: Date.now,
};

test("what agents dropped while they were cut off is a metric: the sum of what each one last said", async () => {
  const events = createEvents(testLog);
  const directory = directoryOf("h1", "h2");
  await using reports = collectStatusReports({ ...quiet, directory, events });
  const say = (host: string, lost?: number) => reports.receive(host, reportOf(lost === undefined ? {} : { lost }));
  const metric = async () => /^f2b_agent_failures_lost (\d+)$/m.exec(await events.registry.metrics())?.[1];
  assert.equal(await metric(), "0");
  say("h1", 5);
  say("h2", 7);
  say("h1", 6);
  assert.equal(await metric(), "13");
  // Its agent was started again.
  say("h2");
  assert.equal(await metric(), "6");
  directory.setState("h1", "quarantined");
  say("h1", 1_000_000);
  assert.equal(await metric(), "0");
});

test("no text of one host keeps the reports of others from the database", async () => {
  await using store = await freshStore();
  const hosts = ["h1", "h2"];
  await insertTenant(store, "default", "vote", 0);
  for (const host of hosts) await insertHost(store, { host, tenant: "default", publicKey: host, nowMs: 0 });
  {
    const record = (written: readonly HostReport[]) => recordReports(store, written);
    await using reports = collectStatusReports({
      ...{ ...quiet, record, directory: directoryOf(...hosts), events: createEvents(testLog) },
    });
    reports.receive("h1", reportOf({ version: "\0", firewall: "\ud800", problems: ["\0\udc00"] }));
    reports.receive("h2", reportOf({ version: "2" }));
  }
  assert.deepEqual(await Promise.all(hosts.map(async (host) => (await findHost(store, host))?.version)), [
    "\ufffd",
    "2",
  ]);
});

test("reports that could not be written are written later, and none over a newer one", async () => {
  const tries: string[][] = [];
  const record = async (written: readonly HostReport[]) => {
    tries.push(written.map(({ host, version }) => `${host} ${version}`).toSorted());
    if (tries.length === 1) {
      reports.receive("h2", reportOf({ version: "newer" }));
      throw new Error("the database is away");
    }
  };
  await using reports = collectStatusReports({
    ...{ ...quiet, record, directory: directoryOf("h1", "h2"), events: createEvents(testLog) },
  });
  for (const host of ["h1", "h2"]) reports.receive(host, reportOf({ version: "first" }));
  await waitFor(() => tries.length === 2, "a second try");
  assert.deepEqual(tries, [
    ["h1 first", "h2 first"],
    ["h1 first", "h2 newer"],
  ]);
});

function directoryOf(...hosts: readonly string[]): HostDirectory {
  const directory = new HostDirectory();
  for (const host of hosts)
    directory.put({ host, tenant: "default", publicKey: host, state: "active", observe: false });
  return directory;
}

function reportOf(said: Partial<StatusReport>): Uint8Array {
  const report: StatusReport = {
    ...{ v: 1, atMs: Date.now(), scopes: [], refused: [], version: "1", firewall: "observe" },
    ...{ enforcing: true, problems: [], ...said },
  };
  return encodeMessage(report);
}
