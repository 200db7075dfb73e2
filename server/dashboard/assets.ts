import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import type { Hono } from "hono";

const own = (file: string) => fileURLToPath(new URL(`./assets/${file}`, import.meta.url));
/** A package's file: beside our own where the coordinator is installed as a bundle. */
const installed = (file: string) => {
  const bundled = own(basename(file));
  return existsSync(bundled) ? bundled : fileURLToPath(import.meta.resolve(file));
};

const css = "text/css; charset=utf-8";
const javascript = "text/javascript; charset=utf-8";

/** Scripts, styles and the icon, read once and served from here: no page loads anything from anywhere else. */
export function serveAssets(app: Hono): void {
  const assets: readonly (readonly [name: string, file: string, type: string])[] = [
    ["style.css", own("style.css"), css],
    ["dashboard.js", own("dashboard.js"), javascript],
    ["icon.svg", own("icon.svg"), "image/svg+xml"],
    ["htmx.js", installed("htmx.org/dist/htmx.min.js"), javascript],
    ["uplot.js", installed("uplot/dist/uPlot.iife.min.js"), javascript],
    ["uplot.css", installed("uplot/dist/uPlot.min.css"), css],
  ];
  for (const [name, file, type] of assets) {
    const content = readFileSync(file, "utf8");
    const etag = `"${createHash("sha256").update(content).digest("base64url").slice(0, 22)}"`;
    // Asked for again each time and rarely sent again: an upgrade shows at once.
    const headers = { "content-type": type, "cache-control": "no-cache", etag };
    app.get(`/assets/${name}`, (context) =>
      context.req.header("if-none-match") === etag
        ? context.body(null, 304, headers)
        : context.body(content, 200, headers),
    );
  }
}
