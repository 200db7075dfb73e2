import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { compileFilter } from "../../agent/filters/compile-filter.ts";
import { createLogFilters } from "../../agent/filters/filter-log.ts";
import { Gate, logBytes } from "../../agent/filters/gate.ts";
import type { Filter } from "../../agent/filters/match-line.ts";
import { Scanner } from "../../agent/filters/scanner.ts";
import { createBanHistory } from "../../agent/jails/ban-history.ts";
import { createIgnoreList } from "../../agent/jails/ignore-list.ts";
import { createJail } from "../../agent/jails/jail.ts";
import type { FilterSettings } from "../../agent/settings/jail-settings.ts";
import { memoryMb } from "./cpu-seconds.ts";

/** What one process measures: filters translated beforehand, as the agent has them, on a log. */
export type Job = Readonly<{ file: string; filters: readonly FilterSettings[] }>;
export type Measured = ReturnType<typeof measure>;

/** What the agent gathers of a log it has to catch up with. */
const chunkBytes = 1024 * 1024;

process.stdout.write(JSON.stringify(measure(JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")))));

function measure({ file, filters }: Job) {
  const compiled = () => filters.map((each) => compileFilter(each, { useDns: "no", timezone: "UTC" }));
  const path = wholePath(compiled());
  const clock = { nowMs: Date.now(), mode: "any", findTimeMs: 0 } as const;
  const start = process.cpuUsage();
  for (const chunk of chunksOf(file)) path.take(chunk, clock);
  const used = process.cpuUsage(start);
  const peakRssMb = memoryMb(process.pid).peakMb;
  const { failures, bans } = path.sums();
  let lines = 0;
  for (const chunk of chunksOf(file)) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1;
  }
  const micros = (work: (chunk: Buffer) => void): number => {
    const before = process.cpuUsage();
    for (const chunk of chunksOf(file)) work(chunk);
    const { user, system } = process.cpuUsage(before);
    return Math.round(((user + system) / lines) * 1000) / 1000;
  };
  // Each step with those before it, once more: V8 has compiled everything by now.
  const gate = new Gate(compiled().map(({ literals }) => literals));
  const scanner = new Scanner(compiled());
  const matching = new Scanner(compiled());
  const counting = wholePath(compiled());
  const warm = {
    read: micros(() => undefined),
    gate: micros((chunk) => {
      const bytes = logBytes(chunk);
      for (let hit = gate.next(bytes, 0); hit !== undefined; hit = gate.next(bytes, hit.end + 1));
    }),
    cut: micros((chunk) => {
      const candidates = scanner.scan(chunk, clock);
      while (candidates.next() !== undefined);
    }),
    match: micros((chunk) => {
      const candidates = matching.scan(chunk, clock);
      for (let each = candidates.next(); each !== undefined; each = candidates.next())
        each.filter.match(each.line, clock, each.ascii, each.ended);
    }),
    all: micros((chunk) => counting.take(chunk, clock)),
  };
  const cpuSeconds = (used.user + used.system) / 1e6;
  return { lines, cpuSeconds, startCpuSeconds: (start.user + start.system) / 1e6, peakRssMb, failures, bans, warm };
}

/** From the bytes to the bans, as in the agent: gate, filters under the watchdog, ignored addresses, counting. */
function wholePath(compiled: readonly Filter[]) {
  const rules = { maxRetry: 5, maxMatches: 5, findTimeMs: 600_000, banTimeMs: 600_000, increment: null };
  const ignored = { ignoreSelf: true, ignoreIp: ["127.0.0.1/8", "::1"], ignoreCommand: null, ignoreCache: null };
  const sources = {
    selfAddresses: () => ["192.0.2.1", "2001:db8::1"],
    selfNames: () => [],
    fileVersion: () => undefined,
    readFile: () => undefined,
    resolve: () => Promise.resolve([]),
  };
  const jails = new Map(
    compiled.map((filter, index) => {
      const parts = { ignoreList: createIgnoreList(ignored, sources), history: createBanHistory(), random: () => 0 };
      return [filter, createJail({ name: `jail${index}`, ...rules }, parts)];
    }),
  );
  const log = createLogFilters(compiled, { report: (trouble) => process.stderr.write(`${JSON.stringify(trouble)}\n`) });
  let failures = 0;
  let bans = 0;
  return {
    sums: () => ({ failures, bans }),
    take(chunk: Buffer, clock: Parameters<typeof log.process>[1]): void {
      log.process(chunk, clock, (task, outcome) => {
        if (outcome.kind !== "failure") return;
        failures += 1;
        const decisions = jails.get(task.filter)?.onFailure(outcome.failure, outcome.failure.atMs) ?? [];
        for (const { kind } of decisions) if (kind === "ban") bans += 1;
      });
    },
  };
}

function* chunksOf(file: string): Generator<Buffer> {
  const descriptor = openSync(file, "r");
  const buffer = Buffer.alloc(chunkBytes);
  let kept = 0;
  for (;;) {
    const filled = kept + readSync(descriptor, buffer, kept, chunkBytes - kept, null);
    const end = buffer.lastIndexOf(10, filled - 1) + 1;
    if (filled === kept || end === 0) break;
    yield buffer.subarray(0, end);
    buffer.copy(buffer, 0, end, filled);
    kept = filled - end;
  }
  closeSync(descriptor);
}
