// `npm test`: every test, or those whose path holds one of the given words. Ends by saying what was skipped and why.
import { globSync } from "node:fs";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { buildPrograms } from "../test/support/bundle.ts";

/** One test file may bring up databases, buses and namespaces, but none may hang the run. */
const fileTimeoutMs = 8 * 60_000;
/** Twice the cores of the smallest machine we test on: many files wait for real seconds more than they work. */
const filesAtOnce = 4;

// Half of a test file's start is taking the types out and compiling.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("../node_modules/.cache/fleet2ban-tests", import.meta.url));

const words = process.argv.slice(2);
const files = globSync("test/**/*.test.ts").filter(
  (file) => words.length === 0 || words.some((word) => file.includes(word)),
);
if (files.length === 0) {
  console.error(`no test file matches ${words.join(" ")}`);
  process.exit(64);
}
// Some hundred of them are started: as they are installed that takes a third of what it takes from the sources.
const programs = buildPrograms();
process.env.FLEET2BAN_TEST_PROGRAMS = programs.folder;
const skipped = [];
let failed = 0;
const events = run({
  files: files.toSorted(),
  concurrency: filesAtOnce,
  timeout: fileTimeoutMs,
  execArgv: ["--disable-warning=ExperimentalWarning", "--import", import.meta.resolve("./quick-resolve.mjs")],
});
events.on("test:fail", () => {
  failed += 1;
});
events.on("test:pass", (event) => {
  if (event.skip !== undefined) skipped.push(`${event.name}: ${event.skip === true ? "no reason given" : event.skip}`);
});
events.compose(spec).pipe(process.stdout);
events.on("end", () => {
  process.exitCode = failed > 0 ? 1 : 0;
});
// Ctrl-C leaves no programs behind either.
process.once("SIGINT", () => process.exit(130));
process.on("exit", () => {
  programs[Symbol.dispose]();
  const lines = skipped.map((line) => `  skipped ${line}\n`).join("");
  process.stdout.write(
    `${lines}${skipped.length} tests skipped${skipped.length > 0 ? ", for the reasons above" : ""}\n`,
  );
});
