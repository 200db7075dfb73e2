import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openAddressHomes } from "../../../server/geo/open-address-homes.ts";
import { findRange } from "../../../server/geo/range-file.ts";

const dir = mkdtempSync(join(tmpdir(), "fleet2ban-geo-"));
after(() => rmSync(dir, { recursive: true, force: true }));

const homes = openAddressHomes({ country: "auto", networkOwner: "auto" });
const isInstalled = homes.sources().every(({ problem }) => problem === null);
const skip = isInstalled ? false : "the data packages are not installed";

test("an address has a country and a network owner, and the data says how old it is and under which licence", {
  skip,
}, () => {
  assert.deepEqual(homes.homeOf("8.8.8.8/32"), { country: "US", asn: 15169, organisation: "Google LLC" });
  assert.equal(homes.homeOf("2a00:1450:4001::/64").asn, 15169);
  assert.equal(homes.homeOf("1.0.0.0/24").organisation, "Cloudflare, Inc.");
  for (const { dated, licence, credits, problem } of homes.sources()) {
    assert.match(dated ?? "", /^20\d\d-\d\d-\d\d$/);
    assert.match(licence ?? "", /^CC/);
    assert.ok(credits.length > 0);
    assert.equal(problem, null);
  }
});

test("nothing is known of an address of a documentation range", { skip }, () => {
  assert.deepEqual(homes.homeOf("192.0.2.1/32"), { country: null, asn: null, organisation: null });
});

test("every range of a file is found at its ends, and nothing between ranges", () => {
  const file = join(dir, "ranges.csv");
  // Long enough that most of it is only jumped over; names with commas, quotes and letters beyond ASCII.
  const nameOf = (index: number) => (index % 7 === 0 ? `"Zürich, ""${index}"" GmbH"` : `Net ${"x".repeat(index % 90)}`);
  const ranges = Array.from({ length: 1000 }, (_, index) => ({ first: index * 1000, last: index * 1000 + 499, index }));
  writeFileSync(
    file,
    ranges.map(({ first, last, index }) => `${first},${last},${index + 1},${nameOf(index)}\n`).join(""),
  );
  for (const { first, last, index } of ranges) {
    assert.equal(findRange(file, BigInt(first))?.asn, index + 1);
    assert.equal(findRange(file, BigInt(last))?.asn, index + 1);
    assert.equal(findRange(file, BigInt(last + 1)), null);
  }
  assert.equal(findRange(file, 7000n)?.organisation, 'Zürich, "7" GmbH');
  assert.equal(findRange(file, 10n ** 38n), null);
});

test("a file that holds no ranges is no reason to fail", () => {
  const file = join(dir, "noise.csv");
  for (const text of ["", "\n", "first,last\n", "x".repeat(100_000)]) {
    writeFileSync(file, text);
    assert.equal(findRange(file, 5n), null);
  }
});

test("what is missing or broken is said with its remedy, and the rest still answers", () => {
  const broken = join(dir, "broken.mmdb");
  writeFileSync(broken, "no database");
  const some = openAddressHomes({ country: broken, networkOwner: join(dir, "none.mmdb") });
  assert.deepEqual(some.homeOf("8.8.8.8/32"), { country: null, asn: null, organisation: null });
  const [country, owner] = some.sources();
  assert.match(country?.problem ?? "", /broken\.mmdb: cannot be read .*addressData/);
  assert.match(owner?.problem ?? "", /none\.mmdb: cannot be read .*ENOENT/);
});

test("what is switched off is neither asked nor shown", () => {
  const off = openAddressHomes({ country: "off", networkOwner: "off" });
  assert.deepEqual(off.sources(), []);
  assert.deepEqual(off.homeOf("8.8.8.8/32"), { country: null, asn: null, organisation: null });
});
