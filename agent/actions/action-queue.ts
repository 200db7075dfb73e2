import { messageOf } from "../../shared/errors.ts";
import type { Logger } from "../logger.ts";

/** Bans that wait for their commands at most: an hour of mails, and some megabytes. */
const waitingMax = 10_000;

export type QueueCounts = Readonly<{ waiting: number; done: number; dropped: number }>;

/** One command after the other, as fail2ban runs them: actions share files and tools that bear no company. */
export class ActionQueue {
  readonly #log: Logger;
  readonly #jobs: (() => Promise<void>)[] = [];
  #running: Promise<void> | undefined;
  #done = 0;
  #dropped = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  get counts(): QueueCounts {
    return { waiting: this.#jobs.length, done: this.#done, dropped: this.#dropped };
  }

  /** @param always  never dropped: what undoes an earlier job, and so is bounded by it */
  push(job: () => Promise<void>, always = false): void {
    if (!always && this.#jobs.length >= waitingMax) {
      this.#dropped += 1;
      return;
    }
    this.#jobs.push(job);
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is left. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Forgets what waits. @returns how many */
  clear(): number {
    return this.#jobs.splice(0).length;
  }

  async #run(): Promise<void> {
    for (;;) {
      const job = this.#jobs.shift();
      if (job === undefined) break;
      try {
        await job();
      } catch (error) {
        this.#log.error({ problem: messageOf(error), event: "action_failed" }, "an action could not be carried out");
      }
      this.#done += 1;
    }
    this.#running = undefined;
  }
}
