import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { buildBundle } from "../support/bundle.ts";
import { freePorts } from "../support/live-fleet.ts";
import { runProgram, startProgram } from "../support/program.ts";

const bundle = buildBundle("server");
const folder = mkdtempSync(join(tmpdir(), "fleet2ban-installed-"));
after(() => {
  bundle[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

for (const name of ["fleet2ban-server", "fleet2ban"]) {
  test(`the installed ${name} has its help`, async () => {
    const { code, stdout, stderr } = await runProgram(join(bundle.folder, `${name}.mjs`), ["--help"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`^usage: ${name} `));
  });
}

test("the installed fleet2ban replays events without a server", async () => {
  const events = join(folder, "events.jsonl");
  writeFileSync(events, "");
  const { code, stderr } = await runProgram(join(bundle.folder, "fleet2ban.mjs"), ["replay", events, "--json"]);
  assert.equal(code, 0, stderr);
});

test("the installed coordinator makes its tables, serves its pages and ends in peace", async () => {
  const [http, nats] = await freePorts(2);
  const args = [
    "--data-dir",
    join(folder, "data"),
    "--http",
    `127.0.0.1:${http}`,
    "--nats-listen",
    `127.0.0.1:${nats}`,
  ];
  await using server = startProgram(join(bundle.folder, "fleet2ban-server.mjs"), args);
  await server.line(/coordinator: http/, 120_000);
  for (const path of ["/healthz", "/assets/htmx.js", "/assets/uplot.css", "/assets/style.css"]) {
    assert.equal((await fetch(`http://127.0.0.1:${http}${path}`)).status, 200, path);
  }
  server.signal("SIGTERM");
  assert.equal(await server.ended, 0, server.stderr());
});
