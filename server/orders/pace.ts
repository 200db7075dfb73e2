import { secondMs } from "../../shared/durations.ts";

/** A tick costs 12 to 22 µs per agent; this keeps the bus below half a core at any size. */
const tickMsPerAgent = 0.05;
const tickMs = { least: 50, most: 2 * secondMs } as const;
/** Agents' answers come at most at 1000 a second. */
const spreadMsPerAgent = 1;
const spreadMsMax = 10 * secondMs;

/** The pause between two ticks of a scope; after a longer silence the first one waits for nothing. */
export function tickMsFor(agents: number): number {
  return Math.min(Math.max(agents * tickMsPerAgent, tickMs.least), tickMs.most);
}

/** Over how long so many agents spread what they all answer to one frame. */
export function spreadMsFor(agents: number): number {
  return Math.round(Math.min(agents * spreadMsPerAgent, spreadMsMax));
}
