import { hourMs, minuteMs } from "../../shared/durations.ts";

/** What no agent of ours does. */
export type Misdeed = "permission_violation" | "oversized_payload" | "flood" | "bad_rows" | "cloned_key";

export type Verdict = Readonly<{ host: string; misdeed: Misdeed; count: number; quarantine: boolean; why: string }>;

type Limit = Readonly<{ count: number; quarantine: boolean; says: (count: number) => string }>;

/** Per host and minute. A broken agent makes a mistake or two; these are more. */
const limits: Readonly<Record<Misdeed, Limit>> = {
  permission_violation: {
    count: 10,
    quarantine: true,
    says: (count) => `tried ${count} times what its credentials forbid`,
  },
  // The server ends the connection each time, so a host cannot do it often.
  oversized_payload: { count: 3, quarantine: true, says: (count) => `sent ${count} messages larger than any agent's` },
  flood: { count: 1_000, quarantine: true, says: (count) => `sent ${count} messages more than any agent does` },
  bad_rows: { count: 1_000, quarantine: true, says: (count) => `sent ${count} rows that are not failures` },
  // Somebody copied a machine, perhaps without a thought: no reason to stop listening to either.
  cloned_key: { count: 1, quarantine: false, says: () => "its key is used by two machines: enrol one of them anew" },
};
const spanMs = minuteMs;
/** For so long a misdeed is shown among the problems of its host. */
const shownMs = hourMs;
/** Hosts remembered; more of them misbehave only when everything does. */
const hostsMax = 10_000;
const shownAtOnceMax = 5;

type Tally = { fresh: number; count: number; sinceMs: number; judged: boolean };

/** Adds up what hosts should not do, and says when it is enough. Pure: whoever holds it acts. */
export class Conduct {
  readonly #tallies = new Map<string, Map<Misdeed, Tally>>();
  readonly #problems = new Map<string, Map<Misdeed, Readonly<{ why: string; atMs: number }>>>();

  note(host: string, misdeed: Misdeed, count = 1): void {
    const ofHost = this.#tallies.get(host) ?? new Map<Misdeed, Tally>();
    if (ofHost.size === 0) {
      if (this.#tallies.size >= hostsMax) return;
      this.#tallies.set(host, ofHost);
    }
    const tally = ofHost.get(misdeed) ?? { fresh: 0, count: 0, sinceMs: Number.NEGATIVE_INFINITY, judged: false };
    tally.fresh += count;
    ofHost.set(misdeed, tally);
  }

  /**
   * To be called every second.
   *
   * @returns what happened since, one entry per host and misdeed however often it was, and what it leads to
   */
  review(
    nowMs: number,
  ): Readonly<{ noted: readonly Omit<Verdict, "quarantine" | "why">[]; verdicts: readonly Verdict[] }> {
    const noted: Omit<Verdict, "quarantine" | "why">[] = [];
    const verdicts: Verdict[] = [];
    for (const [host, tallies] of this.#tallies) {
      for (const [misdeed, tally] of tallies) {
        if (nowMs - tally.sinceMs >= spanMs) {
          if (tally.fresh === 0) {
            tallies.delete(misdeed);
            continue;
          }
          Object.assign(tally, { count: 0, sinceMs: nowMs, judged: false });
        }
        if (tally.fresh === 0) continue;
        noted.push({ host, misdeed, count: tally.fresh });
        tally.count += tally.fresh;
        tally.fresh = 0;
        const limit = limits[misdeed];
        if (tally.judged || tally.count < limit.count) continue;
        tally.judged = true;
        const why = limit.says(tally.count);
        verdicts.push({ host, misdeed, count: tally.count, quarantine: limit.quarantine, why });
        const ofHost = this.#problems.get(host) ?? new Map<Misdeed, Readonly<{ why: string; atMs: number }>>();
        this.#problems.set(host, ofHost.set(misdeed, { why, atMs: nowMs }));
      }
      if (tallies.size === 0) this.#tallies.delete(host);
    }
    this.#forget(nowMs);
    return { noted, verdicts };
  }

  /** In sentences, without the host's name. */
  problemsOf(host: string): readonly string[] {
    return [...(this.#problems.get(host)?.values() ?? [])].map(({ why }) => why);
  }

  /** Of all hosts, for an operator: the latest few. */
  problems(): readonly string[] {
    const all = [...this.#problems].flatMap(([host, found]) => [...found.values()].map((each) => ({ host, ...each })));
    const latest = all.sort((one, other) => other.atMs - one.atMs).slice(0, shownAtOnceMax);
    const rest = all.length - latest.length;
    return [...latest.map(({ host, why }) => `${host} ${why}`), ...(rest > 0 ? [`and ${rest} more misdeeds`] : [])];
  }

  #forget(nowMs: number): void {
    for (const [host, found] of this.#problems) {
      for (const [misdeed, { atMs }] of found) if (nowMs - atMs >= shownMs) found.delete(misdeed);
      if (found.size === 0) this.#problems.delete(host);
    }
  }
}
