import type { Outcome } from "./found-failure.ts";
import { type Filter, longLineLength, type Watched } from "./match-line.ts";
import type { Candidate } from "./scanner.ts";
import { runWithLimit } from "./time-limit.ts";

export type TimeLimits = Readonly<{
  /** Wall time of one batch. */
  batchMs: number;
  /** Wall time of one line by itself. */
  lineMs: number;
  /** A stopped line is blamed on its regex only if it really had the CPU for this share of its time. */
  cpuShareMin: number;
}>;

/** Lines take microseconds, but on a loaded machine an innocent batch of milliseconds can take a second. */
const timeLimits: TimeLimits = { batchMs: 2000, lineMs: 1000, cpuShareMin: 0.5 };
/** A line that got no CPU is tried again so often before it is given up. */
const attemptsMax = 3;
/** So many lines may a regex spoil before it is suspended: one could be an accident of the log. */
const strikesMax = 3;
/** Longer lines are not searched at all: no daemon writes them, and every regex is at least linear. */
const lineLengthMax = 65_536;
/**
 * A batch ends with so many outcomes, which the caller gets only then. All of a megabyte's were 10 MB that each
 * collection of garbage copied; these are 3. A batch more costs 0.9 ms of CPU: none where a third of the lines are failures.
 */
const outcomesMax = 4000;
/** Of a line that is reported; it is an attacker's text. */
const excerptLength = 256;

export type Trouble =
  /** This filter did not look at this line. `place`: the regex that took too long, or null when the line is too long. */
  | Readonly<{ kind: "skipped"; filter: string; place: string | null; excerpt: string }>
  /** The regex is no longer used, on long lines or on any: the filter is blind for what only it finds. */
  | Readonly<{ kind: "suspended"; filter: string; place: string; lines: "long" | "all" }>;

/** What is not `missed`, in the order of the tasks. */
export type OnOutcome = (task: Candidate, outcome: Outcome) => void;

type Done = Readonly<{ task: Candidate; outcome: Outcome }>;

/**
 * Runs lines through their filters so that no regex can hold up the program for long. A regex that explodes on a line
 * is stopped, the line is skipped for that filter, and after `strikesMax` such lines the regex is suspended: first
 * only for long lines, where polynomial regexes fail, so that nobody can blind a filter by sending long lines.
 */
export class Watchdog {
  readonly #report: (trouble: Trouble) => void;
  readonly #limits: TimeLimits;
  readonly #strikes = { short: new Map<Watched, number>(), long: new Map<Watched, number>() };

  constructor(report: (trouble: Trouble) => void, limits: TimeLimits = timeLimits) {
    this.#report = report;
    this.#limits = limits;
  }

  /** @param next  gives the lines one by one, undefined at the end; asked again when it had to be stopped */
  run(next: () => Candidate | undefined, onOutcome: OnOutcome): void {
    let task = next();
    while (task !== undefined) {
      if (task.line.length <= longLineLength) task = this.#runBatch(task, next, onOutcome);
      else {
        this.#runAlone(task, onOutcome);
        task = next();
      }
    }
  }

  /** Runs up to the next long line, or as many outcomes as a batch may have. Returns the task that is to be done next. */
  #runBatch(first: Candidate, next: () => Candidate | undefined, onOutcome: OnOutcome) {
    const done: Done[] = [];
    let task: Candidate | undefined = first;
    let begun: Candidate | undefined;
    let matched: Candidate | undefined;
    const stopped = runWithLimit(this.#limits.batchMs, () => {
      while (task !== undefined && task.line.length <= longLineLength && done.length < outcomesMax) {
        begun = task;
        const outcome = task.filter.match(task.line, task.clock, task.ascii, task.ended);
        if (outcome.kind !== "missed") done.push({ task, outcome });
        matched = task;
        task = next();
      }
    });
    // Outcomes are told outside of the limit: what the caller does must not be stopped half-way.
    for (const each of done) onOutcome(each.task, each.outcome);
    if (stopped === undefined || task === undefined || task !== begun) return task;
    // The batch was stopped here; by itself the line shows whether it is to blame.
    if (task !== matched) this.#runAlone(task, onOutcome, true);
    return next();
  }

  #runAlone(task: Candidate, onOutcome: OnOutcome, again = false): void {
    const { filter, line } = task;
    if (line.length > lineLengthMax) {
      this.#report({ kind: "skipped", filter: filter.name, place: null, excerpt: line.slice(0, excerptLength) });
      return;
    }
    if (again) filter.forgetLine();
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      let outcome: Outcome | undefined;
      const cpuMs = runWithLimit(this.#limits.lineMs, () => {
        outcome = filter.match(line, task.clock, task.ascii, task.ended);
      });
      if (outcome !== undefined) {
        if (outcome.kind !== "missed") onOutcome(task, outcome);
        return;
      }
      const guilty = (cpuMs ?? 0) >= this.#limits.lineMs * this.#limits.cpuShareMin;
      const place = filter.running;
      filter.forgetLine();
      if (!guilty && attempt < attemptsMax) continue;
      this.#report({
        kind: "skipped",
        filter: filter.name,
        place: place?.place ?? null,
        excerpt: line.slice(0, excerptLength),
      });
      if (guilty && place !== null) this.#strike(filter, place, line.length > longLineLength);
      return;
    }
  }

  #strike(filter: Filter, watched: Watched, long: boolean): void {
    const strikes = long ? this.#strikes.long : this.#strikes.short;
    const count = (strikes.get(watched) ?? 0) + 1;
    strikes.set(watched, count);
    if (count < strikesMax) return;
    watched.suspended = long ? "longLines" : "always";
    this.#report({ kind: "suspended", filter: filter.name, place: watched.place, lines: long ? "long" : "all" });
  }
}
