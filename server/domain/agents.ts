import type { Net } from "../../shared/address.ts";
import { dayMs, minuteMs, secondMs } from "../../shared/durations.ts";
import type { Policy } from "./policy.ts";
import { RecentSubjects } from "./recent-subjects.ts";

type Agent = {
  readonly day: RecentSubjects;
  /** From when the day has as many subjects as a minute may have: few hosts ever see so many. */
  minute: RecentSubjects | undefined;
  newestSecond: number;
  quarantined: boolean;
  /** Failures dated up to here no longer count against the limits: an admin lifted the quarantine then. */
  clearedMs: number;
};

/**
 * How many subjects each host accuses. The limits are about the failures' own dates, so an agent that was cut off and
 * delivers a day at once stays within them. The minute is the one before the newest date: failures older than that
 * count for the day only.
 */
export class Agents {
  readonly #byHost = new Map<number, Agent>();
  readonly #limits: Policy["limits"]["agent"];

  constructor(limits: Policy["limits"]["agent"]) {
    this.#limits = limits;
  }

  isQuarantined(host: number): boolean {
    return this.#byHost.get(host)?.quarantined ?? false;
  }

  quarantine(host: number): void {
    this.#agent(host).quarantined = true;
  }

  /** An admin lifts the quarantine: the host starts anew. */
  clear(host: number, nowMs: number): void {
    this.#byHost.set(host, newAgent(nowMs));
  }

  /** Which limit one more failure of `subject` breaks; undefined when none, and then it is counted. */
  brokenLimit(host: number, subject: Net, atMs: number): string | undefined {
    const agent = this.#agent(host);
    if (atMs <= agent.clearedMs) return undefined;
    const key = keyOf(subject);
    const second = Math.floor(atMs / secondMs);
    const newest = Math.max(agent.newestSecond, second);
    const { subjectsPerMinute, subjectsPerDay } = this.#limits;
    const minute = newest - second <= minuteMs / secondMs ? this.#minute(agent) : undefined;
    if (
      minute !== undefined &&
      !minute.has(key, newest) &&
      minute.count(newest, subjectsPerMinute) >= subjectsPerMinute
    )
      return `more than ${subjectsPerMinute} subjects in a minute`;
    if (!agent.day.has(key, newest) && agent.day.count(newest, subjectsPerDay) >= subjectsPerDay) {
      return `more than ${subjectsPerDay} subjects in a day`;
    }
    this.#see(agent, key, second);
    return undefined;
  }

  /** Counts a failure again after a restart; the limits it kept then, it keeps now. */
  remember(host: number, subject: Net, atMs: number): void {
    const agent = this.#agent(host);
    if (atMs > agent.clearedMs) this.#see(agent, keyOf(subject), Math.floor(atMs / secondMs));
  }

  #see(agent: Agent, key: number, second: number): void {
    agent.newestSecond = Math.max(agent.newestSecond, second);
    agent.minute?.see(key, second);
    agent.day.see(key, second);
  }

  #minute(agent: Agent): RecentSubjects | undefined {
    if (agent.minute !== undefined || agent.day.size < this.#limits.subjectsPerMinute) return agent.minute;
    agent.minute = new RecentSubjects(minuteMs / secondMs);
    agent.day.copyTo(agent.minute);
    return agent.minute;
  }

  #agent(host: number): Agent {
    const known = this.#byHost.get(host);
    if (known !== undefined) return known;
    const agent = newAgent(Number.NEGATIVE_INFINITY);
    this.#byHost.set(host, agent);
    return agent;
  }
}

function newAgent(clearedMs: number): Agent {
  return {
    minute: undefined,
    day: new RecentSubjects(dayMs / secondMs),
    newestSecond: 0,
    quarantined: false,
    clearedMs,
  };
}

/** 32 bits of the subject, never 0: exact for IPv4; of IPv6 networks, two in 4 000 million are taken for one. */
function keyOf(subject: Net): number {
  if (subject.family === 4) return subject.value || 1;
  const high = Number(BigInt.asUintN(32, subject.value >> 64n));
  const higher = Number(BigInt.asUintN(32, subject.value >> 96n));
  return (Math.imul(high, 0x9e3779b1) ^ higher) >>> 0 || 1;
}
