import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { type FirewallList, firewallLists } from "../shared/firewall-lists.ts";
import { BanLatency } from "./ban-latency.ts";
import type { Logger } from "./logger.ts";

/** Something that happened just now, for whoever looks on. */
export type LiveEvent =
  | Readonly<{
      kind: "ban";
      atMs: number;
      net: string;
      scope: string;
      level: number | null;
      reason: string;
      untilMs: number | null;
    }>
  | Readonly<{ kind: "unban"; atMs: number; net: string; scope: string; reason: string }>
  | Readonly<{ kind: "held" | "refused"; atMs: number; net: string; scope: string; why: string }>
  | Readonly<{ kind: "quarantine"; atMs: number; tenant: string; host: string; why: string }>;

/** Screens that look on at once; each costs a line per event. */
const watchersMax = 1000;

/**
 * One function per thing that happens: it counts (labels of few values, never an address) and logs (with the detail).
 * None of them throws.
 */
export type Events = ReturnType<typeof createEvents>;

export function createEvents(log: Logger, now: () => number = Date.now) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const failures = new Counter({
    name: "f2b_failures_total",
    help: "Failures received, by what became of them.",
    labelNames: ["weight"],
    registers,
  });
  const reports = new Counter({
    name: "f2b_reports_total",
    help: "Failure batches received, by result.",
    labelNames: ["result"],
    registers,
  });
  const falsePositives = new Counter({
    name: "f2b_fp_unbans_total",
    help: "Bans called a mistake, when they were lifted or later.",
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
  const feedTries = new Counter({
    name: "f2b_feed_downloads_total",
    help: "Downloads of others' lists, by result: taken, unchanged, or why nothing was taken.",
    labelNames: ["result"],
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
  const enforced = new Histogram({
    name: "f2b_ban_latency_seconds",
    help: "From a ban to a host's word that it enforces it.",
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300],
    registers,
  });
  const blockedPackets = new Counter({
    name: "f2b_blocked_packets_total",
    help: "Packets the hosts' firewalls stopped, by list, as agents say.",
    labelNames: ["list"],
    registers,
  });
  const blockedBytes = new Counter({
    name: "f2b_blocked_bytes_total",
    help: "Bytes of the packets the hosts' firewalls stopped, by list, as agents say.",
    labelNames: ["list"],
    registers,
  });
  const lost = new Gauge({
    name: "f2b_agent_failures_lost",
    help: "Rows of failures that agents dropped since each one started: its disk kept no more of them while it was cut off.",
    registers,
  });
  for (const list of Object.keys(firewallLists)) {
    blockedPackets.inc({ list }, 0);
    blockedBytes.inc({ list }, 0);
  }
  const watchers = new Set<(event: LiveEvent) => void>();
  const show = (event: LiveEvent): void => {
    for (const watcher of watchers) {
      try {
        watcher(event);
      } catch (error) {
        log.warn({ err: error }, "somebody who looked on failed");
      }
    }
  };
  return {
    registry,
    log,
    latency: new BanLatency((ms) => enforced.observe(ms / 1000)),
    /** From now on; the returned function ends it. Beyond `watchersMax` nobody more hears anything. */
    watch(watcher: (event: LiveEvent) => void): () => void {
      if (watchers.size < watchersMax) watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    batchCommitted(result: "counted" | "duplicate" | "gap"): void {
      reports.inc({ result });
    },
    /** Lines by what became of them. */
    failuresCounted(lines: Readonly<Partial<Record<string, number>>>): void {
      for (const [weight, count] of Object.entries(lines)) failures.inc({ weight }, count ?? 0);
    },
    /** What a host's firewall stopped since its last report. */
    blocked({ list, packets, bytes }: Readonly<{ list: FirewallList; packets: number; bytes: number }>): void {
      blockedPackets.inc({ list }, packets);
      blockedBytes.inc({ list }, bytes);
    },
    /** Over all hosts, as each one last said. */
    lost(rows: number): void {
      lost.set(rows);
    },
    feedTried(result: string): void {
      feedTries.inc({ result });
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
      const reason = /^(?:jail|feed) /.test(fields.reason) ? fields.reason.slice(0, 4) : fields.reason;
      bans.inc({ scope, level: fields.level === null ? "none" : String(fields.level), reason });
      // Thousands at a time, and the feed's own line says how many.
      if (reason === "feed") {
        log.debug({ ...fields, event: "banned" }, "banned what a feed lists");
        return;
      }
      log.info({ ...fields, event: "banned" }, "banned a network");
      const { net, level, untilMs } = fields;
      show({ kind: "ban", atMs: now(), net, scope: fields.scope, level, reason: fields.reason, untilMs });
    },
    mistaken(fields: Readonly<{ net: string; scope: string }>): void {
      falsePositives.inc();
      log.info({ ...fields, event: "mistaken" }, "called an ended ban a false positive");
    },
    unbanned(fields: Readonly<{ net: string; scope: string; reason: string; feed?: string | undefined }>): void {
      unbans.inc({ reason: fields.reason });
      if (fields.reason === "expired" && fields.feed !== undefined) {
        log.debug({ ...fields, event: "unbanned" }, "lifted what a feed listed");
        return;
      }
      if (fields.reason === "false-positive") falsePositives.inc();
      log.info({ ...fields, event: "unbanned" }, "lifted a ban");
      const { net, scope, reason } = fields;
      show({ kind: "unban", atMs: now(), net, scope, reason });
    },
    stopped(kind: "held" | "refused", fields: Readonly<{ net: string; scope: string; why: string }>): void {
      stopped.inc({ kind });
      log.warn({ ...fields, event: kind }, kind === "held" ? "held a ban for an admin" : "refused a ban");
      const { net, scope, why } = fields;
      show({ kind, atMs: now(), net, scope, why });
    },
    refused(reason: string, fields: object): void {
      refusals.inc({ reason });
      if (reason === "bad_batch" || reason === "failed_batch") reports.inc({ result: "refused" });
      log.warn({ ...fields, reason, event: "refused" }, "refused a message");
      if (reason !== "quarantined") return;
      const { tenant = "", host = "", why = "" } = fields as Readonly<Record<string, unknown>>;
      show({ kind: "quarantine", atMs: now(), tenant: String(tenant), host: String(host), why: String(why) });
    },
    /** Values by one label, read when the metrics are. */
    gauges(name: string, help: string, label: string, read: () => Promise<Readonly<Record<string, number>>>): void {
      new Gauge({
        name,
        help,
        labelNames: [label],
        registers,
        async collect() {
          // What is gone has no value any more.
          this.reset();
          for (const [value, count] of Object.entries(await read())) this.set({ [label]: value }, count);
        },
      });
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
