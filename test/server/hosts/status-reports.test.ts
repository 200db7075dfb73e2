import assert from "node:assert/strict";
import { test } from "node:test";
import { createEvents } from "../../../server/events.ts";
import { HostDirectory } from "../../../server/hosts/host-directory.ts";
import { collectStatusReports } from "../../../server/hosts/status-reports.ts";
import { encodeMessage, type StatusReport } from "../../../shared/fleet-messages.ts";
import { testLog } from "../../support/nats.ts";

test("what agents dropped while they were cut off is a metric: the sum of what each one last said", async () => {
  const events = createEvents(testLog);
  const directory = new HostDirectory();
  for (const host of ["h1", "h2"]) {
    directory.put({ host, tenant: "t1", publicKey: host, state: "active", observe: false });
  }
  await using reports = collectStatusReports({
    directory,
    record: () => Promise.resolve(),
    notice: () => [],
    events,
    now: Date.now,
  });
  const say = (host: string, lost?: number) => {
    const place = { v: 1, atMs: Date.now(), scopes: [], refused: [] } as const;
    const rest = { version: "1", firewall: "observe", enforcing: true, problems: [] };
    const report = { ...place, ...rest, ...(lost === undefined ? {} : { lost }) } as unknown as StatusReport;
    reports.receive(host, encodeMessage(report));
  };
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
