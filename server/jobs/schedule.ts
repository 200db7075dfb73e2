import { type ScheduledTask, schedule, setLogger } from "node-cron";
import { hourMs } from "../../shared/durations.ts";
import type { FeedKeeper } from "../feeds/keeper.ts";
import type { Commit, JudgeWriter } from "../ingest/judge-writer.ts";
import { tick } from "../ingest/tick.ts";
import type { Logger } from "../logger.ts";
import { pruneDeeds } from "../store/deeds.ts";
import { countFailureDays } from "../store/failure-counts.ts";
import type { Store } from "../store/open-store.ts";
import { ReplacedError } from "../store/replaced-error.ts";
import type { Sql } from "../store/sql.ts";
import { freeTheWay } from "./free-the-way.ts";
import { prune, retention } from "./prune.ts";

export type JobsOptions = Readonly<{
  writer: JudgeWriter;
  store: Store;
  now: () => number;
  log: Logger;
  /** Others' lists. */
  feeds?: Pick<FeedKeeper, "run">;
  /** Another coordinator writes now; this one must end. */
  replaced?: (error: ReplacedError) => void;
}>;
type Job = Readonly<{ name: string; when: string; run: (nowMs: number) => Promise<unknown> }>;

/** A coordinator that has missed some of those before reads the tables anew. */
const deedsKeptMs = hourMs;

const expire = (writer: JudgeWriter, told: (commit: Commit) => void = () => undefined): Job => ({
  name: "expire",
  when: "* * * * * *",
  run: async () => told(await tick(writer)),
});

/** Alone there is nobody to wait for. */
const freeing = (writer: JudgeWriter, sql: Sql, log: Logger): Job => {
  const look = freeTheWay(sql, log);
  return {
    name: "free-the-way",
    when: "* * * * * *",
    run: async (nowMs) => (writer.isShared() ? await look(nowMs) : undefined),
  };
};

/** Everything that happens by the clock, and when. A job that is still running when it is due again is left alone. */
export function startJobs({ writer, store, now, log, feeds, replaced }: JobsOptions): AsyncDisposable {
  const jobs: readonly Job[] = [
    expire(writer),
    freeing(writer, store, log),
    { name: "forget-deeds", when: "30 */10 * * * *", run: (nowMs) => pruneDeeds(store, nowMs - deedsKeptMs) },
    // How often each is fetched it says itself.
    ...(feeds === undefined ? [] : [{ name: "feeds", when: "40 * * * * *", run: () => feeds.run() }]),
    // Every hour, so that a night in which it fails is made good long before the failures are forgotten.
    {
      name: "count-failures",
      when: "0 13 * * * *",
      run: async (nowMs) => {
        const days = await countFailureDays(store, nowMs, nowMs - retention.countsMs);
        if (days > 0) log.info({ days }, "counted the failures of days that are over");
      },
    },
    // At night, and not on the full hour, when everybody's jobs run.
    {
      name: "prune",
      when: "0 17 3 * * *",
      run: async (nowMs) => log.info({ ...(await prune(store, nowMs)) }, "forgot what is older than its retention"),
    },
  ];
  return start(jobs, now, log, replaced);
}

/** What a coordinator that shares the leader's work does by the clock. `told` hears what it led to. */
export function startExpiring(
  options: Pick<JobsOptions, "writer" | "store" | "now" | "log"> & Readonly<{ told: (commit: Commit) => void }>,
): AsyncDisposable {
  const { writer, store, now, log, told } = options;
  return start([expire(writer, told), freeing(writer, store, log)], now, log, undefined);
}

function start(
  jobs: readonly Job[],
  now: () => number,
  log: Logger,
  replaced: JobsOptions["replaced"],
): AsyncDisposable {
  setLogger(quietLogger(log));
  const running = new Set<Promise<void>>();
  const tasks = jobs.map((job) => scheduleJob(job, now, log, running, replaced));
  return {
    [Symbol.asyncDispose]: async () => {
      for (const task of tasks) await task.destroy();
      // What has begun ends before the store is closed under it.
      await Promise.all(running);
    },
  };
}

function scheduleJob(
  { name, when, run }: Job,
  now: () => number,
  log: Logger,
  running: Set<Promise<void>>,
  replaced: JobsOptions["replaced"],
): ScheduledTask {
  let isFailing = false;
  const attempt = async (): Promise<void> => {
    try {
      await run(now());
      if (isFailing) log.info({ job: name }, "a job works again");
      isFailing = false;
    } catch (error) {
      if (error instanceof ReplacedError) replaced?.(error);
      // Once per failure, not once per second.
      if (!isFailing) log.error({ err: error, job: name }, "a job failed, it is tried again when it is next due");
      isFailing = true;
    }
  };
  const tracked = async (): Promise<void> => {
    const attempted = attempt();
    running.add(attempted);
    await attempted;
    running.delete(attempted);
  };
  return schedule(when, tracked, { name, noOverlap: true, timezone: "UTC" });
}

/** node-cron writes coloured lines of its own unless it is given a logger; a skipped run of a busy second is no news. */
function quietLogger(log: Logger) {
  const debug = (message: string | Error, error?: Error): void =>
    log.debug({ err: error, cron: String(message) }, "cron said");
  return { info: debug, warn: debug, error: debug, debug };
}
