import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Logger } from "./logger.ts";

/**
 * One function per thing that happens: it counts (labels of few values, never an address) and logs (with the detail).
 * None of them throws.
 */
export type Events = ReturnType<typeof createEvents>;

export function createEvents(log: Logger) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const failures = new Counter({
    name: "f2b_failures_total",
    help: "Failures received, by what became of them.",
    labelNames: ["weight"],
    registers,
  });
  const batches = new Counter({
    name: "f2b_batches_total",
    help: "Failure batches received, by result.",
    labelNames: ["result"],
    registers,
  });
  const bans = new Counter({
    name: "f2b_bans_total",
    help: "Bans made, by scope, level and reason.",
    labelNames: ["scope", "level", "reason"],
    registers,
  });
  const unbans = new Counter({
    name: "f2b_unbans_total",
    help: "Bans ended, by reason.",
    labelNames: ["reason"],
    registers,
  });
  const stopped = new Counter({
    name: "f2b_bans_stopped_total",
    help: "Bans that were due and not made: held by the brake or refused.",
    labelNames: ["kind"],
    registers,
  });
  const refusals = new Counter({
    name: "f2b_nats_rejects_total",
    help: "Messages from agents that were refused, by reason.",
    labelNames: ["reason"],
    registers,
  });
  const latency = new Histogram({
    name: "f2b_decision_seconds",
    help: "From a batch's arrival to its orders being published.",
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
    registers,
  });
  return {
    registry,
    log,
    batchCommitted(result: "counted" | "duplicate" | "gap"): void {
      batches.inc({ result });
    },
    /** Lines by what became of them. */
    failuresCounted(lines: Readonly<Partial<Record<string, number>>>): void {
      for (const [weight, count] of Object.entries(lines)) failures.inc({ weight }, count ?? 0);
    },
    decided(seconds: number): void {
      latency.observe(seconds);
    },
    banned(
      fields: Readonly<{
        net: string;
        scope: string;
        level: number | null;
        reason: string;
        untilMs: number | null;
        evidence: object;
      }>,
    ): void {
      const scope = fields.scope.split(":")[0] ?? "fleet";
      const reason = fields.reason.startsWith("jail ") ? "jail" : fields.reason;
      bans.inc({ scope, level: fields.level === null ? "none" : String(fields.level), reason });
      log.info({ ...fields, event: "banned" }, "banned a network");
    },
    unbanned(fields: Readonly<{ net: string; scope: string; reason: string }>): void {
      unbans.inc({ reason: fields.reason });
      log.info({ ...fields, event: "unbanned" }, "lifted a ban");
    },
    stopped(kind: "held" | "refused", fields: Readonly<{ net: string; scope: string; why: string }>): void {
      stopped.inc({ kind });
      log.warn({ ...fields, event: kind }, kind === "held" ? "held a ban for an admin" : "refused a ban");
    },
    refused(reason: string, fields: object): void {
      refusals.inc({ reason });
      log.warn({ ...fields, reason, event: "refused" }, "refused a message");
    },
    /** A value read when the metrics are. */
    gauge(name: string, help: string, read: () => number | Promise<number>): void {
      new Gauge({
        name,
        help,
        registers,
        async collect() {
          this.set(await read());
        },
      });
    },
  };
}
