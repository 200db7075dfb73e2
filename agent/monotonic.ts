/**
 * Milliseconds since the process started, on a clock nobody sets. Not `performance.now()`: the first look at `performance`
 * loads eight modules of Node's, and an idle agent is small.
 */
export function monotonicMs(): number {
  return process.uptime() * 1000;
}
