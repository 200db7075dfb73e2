import { createRoute, z } from "@hono/zod-openapi";
import { stream } from "hono/streaming";
import type { BanView, Desk } from "../desk/desk.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import { csvLine } from "./csv.ts";
import { needs, problems, quoted } from "./routes.ts";
import { ScopeText, timeOf, timeOrNull } from "./schemas.ts";
import { showBan } from "./views.ts";

type Format = Readonly<{ type: string; head: string; line: (ban: BanView) => string }>;

const columns = ["net", "scope", "level", "ports", "reason", "by", "started", "until", "hosts", "failures"] as const;

const formats = {
  "bans.csv": {
    type: "text/csv; charset=utf-8",
    head: csvLine(columns),
    line: ({ net, scope, level, ports, reason, by, startedMs, untilMs, evidence }) =>
      csvLine([
        ...[net, scope, level === null ? "" : String(level), ports === null ? "all" : ports.join(" "), reason, by],
        ...[timeOf(startedMs), timeOrNull(untilMs) ?? "", String(evidence.hosts), String(evidence.failures)],
      ]),
  },
  "bans.txt": {
    type: "text/plain; charset=utf-8",
    head: "# fleet2ban: standing bans, one network a line\n",
    line: ({ net }) => `${net.replace(/^([\d.]+)\/32$|^([0-9a-f:]+)\/128$/, "$1$2")}\n`,
  },
  "bans.jsonl": { type: "application/jsonl", head: "", line: (ban) => `${JSON.stringify(showBan(ban))}\n` },
} satisfies Record<string, Format>;
const names = ["bans.csv", "bans.txt", "bans.jsonl"] as const;

const exported = createRoute({
  method: "get",
  path: "/exports/{file}",
  summary: "Standing bans as a file: CSV safe in spreadsheets, a plain list, or JSON lines",
  description:
    "Send the ETag back as If-None-Match: nothing is sent while nothing has changed. What feeds banned is not in it: others' lists are not ours to give away.",
  request: {
    params: z.object({ file: z.enum(names).openapi({ example: "bans.csv" }) }),
    query: z.object({
      scope: ScopeText.optional(),
      minLevel: z.coerce.number().int().min(0).max(15).optional().openapi({ type: "integer", example: 0 }),
    }),
    headers: z.object({ "if-none-match": z.string().max(200).optional() }),
  },
  ...needs(leastRoles.exportBans),
  responses: {
    200: {
      description: "The file.",
      content: {
        "text/csv": { schema: z.string() },
        "text/plain": { schema: z.string() },
        "application/jsonl": { schema: z.string() },
      },
    },
    304: { description: "Nothing has changed since the ETag given." },
    ...problems,
  },
});

export function exportRoutes(desk: Desk) {
  return newApi().openapi(exported, async (context) => {
    const { file } = context.req.valid("param");
    const { etag, pages } = await desk.exportBans(context.get("principal"), context.req.valid("query"));
    const { type, head, line }: Format = formats[file];
    const tag = quoted(`${etag}-${file}`);
    if (context.req.header("if-none-match") === tag) return context.body(null, 304, { etag: tag });
    context.header("etag", tag);
    context.header("content-type", type);
    context.header("content-disposition", `attachment; filename="${file}"`);
    return stream(context, async (out) => {
      await out.write(head);
      for await (const page of pages()) {
        if (out.aborted) return;
        await out.write(page.map(line).join(""));
      }
    });
  });
}
