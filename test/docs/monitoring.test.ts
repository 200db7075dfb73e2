import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { openApi } from "../server/http/open-api.ts";

const read = (file: string) => readFileSync(new URL(`../../docs/monitoring/${file}`, import.meta.url), "utf8");
const metricsIn = (text: string) =>
  new Set([...text.matchAll(/\bf2b_[a-z_]+/g)].map(([name]) => name.replace(/_bucket$/, "")));

test("dashboard, alerts and page speak of metrics that there are", async () => {
  await using api = await openApi();
  const served = metricsIn(await (await api.app.request("/metrics")).text());
  const dashboard = JSON.parse(read("grafana-dashboard.json")) as { panels: unknown[] };
  const { groups } = parse(read("alerts.yaml")) as { groups: { rules: { alert: string; expr: string }[] }[] };
  assert.ok(dashboard.panels.length > 5);
  assert.ok(groups.every(({ rules }) => rules.every(({ alert, expr }) => alert !== "" && expr !== "")));
  for (const file of ["grafana-dashboard.json", "alerts.yaml", "README.md"]) {
    for (const metric of metricsIn(read(file))) assert.ok(served.has(metric), `${file}: ${metric}`);
  }
});
