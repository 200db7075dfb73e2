// The coordinator as it is, except that it kills itself where the environment says: `FAULT=written:3` is the third time
// a transaction has written its orders; with `FAULT_SIGNAL=SIGSTOP` it freezes there. `CLOCK_AHEAD_MS` sets its clock
// wrong. For tests only; the real program knows no such variables.
import { loadServerConfig } from "../../../server/config.ts";
import type { FaultPoint } from "../../../server/ingest/judge-writer.ts";
import { openLogger } from "../../../server/logger.ts";
import { run } from "../../../server/run.ts";

const [point, times = "1"] = (process.env.FAULT ?? "").split(":");
let left = Number(times);
/** How wrong its clock is. */
const aheadMs = Number(process.env.CLOCK_AHEAD_MS ?? 0);

function fault(reached: FaultPoint): void {
  if (reached !== point) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, process.env.FAULT_SIGNAL ?? "SIGKILL");
}

const config = loadServerConfig(process.argv.slice(2), process.env, () => undefined);
if (config === null) throw new Error("no help here");
const coordinator = await run(config, { now: () => Date.now() + aheadMs, log: openLogger("warn"), fault });
process.stdout.write(`fleet2ban coordinator: ${coordinator.url}${coordinator.standsBy ? " stands by" : ""}\n`);
process.once("SIGTERM", () => void coordinator[Symbol.asyncDispose]().then(() => process.exit(0)));
await coordinator.failed.catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
});
