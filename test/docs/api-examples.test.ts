import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";
import { serve } from "@hono/node-server";
import { openApi } from "../server/http/open-api.ts";

const text = readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8");
const examples = [...text.matchAll(/```sh\n(curl [\s\S]*?)```/g)].map(([, command]) => command ?? "");

test("every curl example of docs/api.md is answered with success", async (context) => {
  await using api = await openApi({ default: ["h1"], acme: ["web-1"] });
  await api.ok("POST", "/bans", { body: { net: "192.0.2.9", bantime: "1h", reason: "x" } });
  const { server, url } = await new Promise<{ server: ReturnType<typeof serve>; url: string }>((resolve) => {
    const started = serve({ fetch: api.app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) =>
      resolve({ server: started, url: `http://127.0.0.1:${port}` }),
    );
  });
  try {
    assert.ok(examples.length > 10, `only ${examples.length} examples`);
    for (const example of examples) {
      await context.test(example.split("\n").at(-2)?.trim() ?? "", async () => {
        const env = { ...process.env, FLEET2BAN_SERVER: url, FLEET2BAN_TOKEN: api.token("admin@fleet") };
        const command = example.replace("curl ", "curl --fail-with-body ");
        await promisify(execFile)("bash", ["-c", command], { env, timeout: 30_000 });
      });
    }
  } finally {
    if ("closeAllConnections" in server) server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
