import assert from "node:assert/strict";
import { test } from "node:test";
import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import { builtInConfigDir, loadFilter } from "../../../agent/settings/load-settings.ts";
import { clockAt, noonMs } from "./filter-support.ts";
import { hostileFilters, hostileLine } from "./hostile-lines.ts";
import { seededRandom } from "./seeded-random.ts";

const cases = 100_000;

test("no user name changes whom the built-in filters blame", () => {
  const random = seededRandom(42);
  const filters = new Map(
    hostileFilters.map((reference) => [
      reference,
      compileFilter(loadFilter(builtInConfigDir(), reference), { useDns: "no", timezone: "UTC" }),
    ]),
  );
  let blamed = 0;
  for (let index = 0; index < cases; index += 1) {
    const { filter, line, peer } = hostileLine(random);
    const outcome = filters.get(filter)?.match(line, clockAt(noonMs));
    if (outcome?.kind !== "failure") continue;
    assert.equal(outcome.failure.ip, peer, `${filter}: ${line}`);
    blamed += 1;
  }
  assert.ok(blamed > cases / 2, `only ${blamed} of ${cases} lines were failures`);
});
