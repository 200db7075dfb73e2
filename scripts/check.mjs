// Types, lint and format in seconds. `npm run check`; exits 1 with everything that is wrong, not only the first.
import { spawnSync } from "node:child_process";

const steps = [
  ["tsc", ["--noEmit"]],
  ["biome", ["check", "--diagnostic-level=warn", "--error-on-warnings", "."]],
  ["oxlint", ["--type-aware", "--quiet"]],
];
let failed = 0;
for (const [command, args] of steps) {
  const result = spawnSync(command, args, { stdio: "inherit" });
  if (result.status !== 0) failed += 1;
}
process.exitCode = failed === 0 ? 0 : 1;
