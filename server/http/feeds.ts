import { createRoute, z } from "@hono/zod-openapi";
import { dayMs, formatDurationMs } from "../../shared/durations.ts";
import type { Desk } from "../desk/desk.ts";
import type { FeedDetails, FeedView } from "../desk/feed-views.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import {
  body,
  EditHeaders,
  IdempotencyKey,
  json,
  needs,
  optionsOf,
  problems,
  quoted,
  ReasonedWriteParams,
  stale,
  tagged,
} from "./routes.ts";
import { Duration, Flag, Net, Reason, Time, TokenName, timeOf, timeOrNull } from "./schemas.ts";

const Counts = z.record(z.string(), z.int());

export const Feed = z
  .object({
    name: z.string(),
    source: z.string(),
    mode: z.enum(["observe", "enforce", "off"]),
    every: z.string(),
    ttl: z.string(),
    entriesMax: z.int(),
    note: z.string(),
    by: z.string(),
    created: Time,
    tried: Time.nullable(),
    good: Time.nullable(),
    changed: Time.nullable(),
    due: Time,
    why: z.string().nullable(),
    problem: z.string().nullable(),
    inForce: z.boolean(),
    entries: z.int(),
    banned: z.int(),
    exceptions: z.int(),
    report: z
      .object({
        listed: z.int(),
        badLines: z.int(),
        leftOut: Counts,
        examples: z.record(z.string(), z.array(z.string())),
      })
      .nullable()
      .openapi({
        description:
          "Of the last list that was taken. Left out: `reserved` and `never` share an address with those lists, `allowed`: the fleet allows it, `wide`: more than limits.widestBan, `unusual`: of a length firewalls keep no set for.",
        example: {
          listed: 3,
          badLines: 0,
          leftOut: { never: 1 },
          examples: { never: ["203.0.113.7"] },
        },
      }),
    removing: z.boolean(),
    etag: z.string(),
  })
  .openapi("Feed");
export const FeedWithLifted = Feed.extend({
  lifted: z.array(z.object({ net: z.string(), at: Time, by: z.string(), note: z.string().nullable() })),
}).openapi("FeedWithLifted");

const Source = z.string().max(500).openapi({
  description: "An https URL, or file:NAME in the folder `feeds` of the data directory.",
  example: "file:drop.txt",
});
const EntriesMax = z.int().openapi({ example: 50_000 });
const NewFeed = z
  .strictObject({
    name: TokenName,
    source: Source,
    every: Duration.default(dayMs),
    ttl: Duration.default(7 * dayMs),
    entriesMax: EntriesMax.default(50_000),
    note: Reason,
  })
  .openapi("NewFeed", {
    example: { name: "level1", source: "file:level1.txt", note: "FireHOL level 1, from our mirror" },
  });
const FeedChange = z
  .strictObject({
    source: Source.optional(),
    mode: z.enum(["observe", "enforce", "off"]).optional(),
    every: Duration.optional(),
    ttl: Duration.optional(),
    entriesMax: EntriesMax.optional(),
    note: Reason.optional(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), "name what is to change")
  .openapi("FeedChange", { example: { mode: "enforce" } });
const FeedParam = z.object({ name: TokenName.openapi({ example: "drop" }) });

const list = createRoute({
  method: "get",
  path: "/feeds",
  summary: "Others' lists, and how each stands",
  ...needs(leastRoles.feeds),
  responses: { 200: json(z.object({ items: z.array(Feed) }), "Every feed."), ...problems },
});
const one = createRoute({
  method: "get",
  path: "/feeds/{name}",
  summary: "One feed: what it lists, what was left out and what people lifted of it",
  request: { params: FeedParam },
  ...needs(leastRoles.feed),
  responses: { 200: tagged(FeedWithLifted, "The feed."), ...problems },
});
const create = createRoute({
  method: "post",
  path: "/feeds",
  summary: "Add somebody else's list; it is fetched at once and only observed",
  request: { query: ReasonedWriteParams, headers: IdempotencyKey, ...body(NewFeed) },
  ...needs(leastRoles.addFeed),
  responses: { 201: json(Feed, "The feed and how its first download went; nobody is banned yet."), ...problems },
});
const change = createRoute({
  method: "patch",
  path: "/feeds/{name}",
  summary: "Enforce, observe or switch off a feed, or change how it is fetched",
  description: "`enforce` needs a good list that was observed before; another source has to be observed first as well.",
  request: { params: FeedParam, query: ReasonedWriteParams, headers: EditHeaders, ...body(FeedChange) },
  ...needs(leastRoles.changeFeed),
  responses: { 200: tagged(Feed, "The feed as it is now; bans follow within seconds."), ...problems, ...stale },
});
const remove = createRoute({
  method: "delete",
  path: "/feeds/{name}",
  summary: "Remove a feed; what it banned is lifted",
  request: { params: FeedParam, query: ReasonedWriteParams, headers: IdempotencyKey },
  ...needs(leastRoles.removeFeed),
  responses: { 204: { description: "It is going; what it banned is being lifted." }, ...problems },
});
const refresh = createRoute({
  method: "post",
  path: "/feeds/{name}/refresh",
  summary: "Fetch a feed now",
  description:
    "`acceptSize=true`, for admins who have looked at it: takes a list that has grown or shrunk by more than 30 %.",
  request: {
    params: FeedParam,
    query: ReasonedWriteParams.extend({ acceptSize: Flag.default("false").openapi({ example: "false" }) }),
    headers: IdempotencyKey,
  },
  ...needs(leastRoles.refreshFeed),
  responses: { 200: json(Feed, "The feed after it; `problem` says why nothing was taken."), ...problems },
});
const restore = createRoute({
  method: "delete",
  path: "/feeds/{name}/lifted",
  summary: "Let a feed ban again what somebody lifted of it",
  request: { params: FeedParam, query: ReasonedWriteParams.extend({ net: Net }), headers: IdempotencyKey },
  ...needs(leastRoles.restoreFeedEntry),
  responses: { 204: { description: "It is banned again if the feed lists it." }, ...problems },
});

export function feedRoutes(desk: Desk) {
  return newApi()
    .openapi(list, async (context) => {
      const feeds = await desk.feeds(context.get("principal"));
      return context.json({ items: feeds.map(showFeed) }, 200);
    })
    .openapi(create, async (context) => {
      const { every, ttl, ...request } = context.req.valid("json");
      const options = optionsOf(context.req.valid("query"));
      const made = await desk.addFeed(context.get("principal"), { ...request, everyMs: every, ttlMs: ttl }, options);
      return context.json(showFeed(made), 201);
    })
    .openapi(one, async (context) => {
      const feed = await desk.feed(context.get("principal"), context.req.valid("param").name);
      return context.json(showDetails(feed), 200, { etag: quoted(feed.etag) });
    })
    .openapi(change, async (context) => {
      const { every, ttl, ...request } = context.req.valid("json");
      const options = optionsOf(context.req.valid("query"), context.req.valid("header"));
      const asked = { ...request, everyMs: every, ttlMs: ttl };
      const feed = await desk.changeFeed(context.get("principal"), context.req.valid("param").name, asked, options);
      return context.json(showFeed(feed), 200, { etag: quoted(feed.etag) });
    })
    .openapi(remove, async (context) => {
      const options = optionsOf(context.req.valid("query"));
      await desk.removeFeed(context.get("principal"), context.req.valid("param").name, options);
      return context.body(null, 204);
    })
    .openapi(refresh, async (context) => {
      const { acceptSize, ...query } = context.req.valid("query");
      const { name } = context.req.valid("param");
      const isAccepted = acceptSize === "true";
      const feed = await desk.refreshFeed(context.get("principal"), name, isAccepted, optionsOf(query));
      return context.json(showFeed(feed), 200);
    })
    .openapi(restore, async (context) => {
      const { net, ...query } = context.req.valid("query");
      const { name } = context.req.valid("param");
      await desk.restoreFeedEntry(context.get("principal"), name, net, optionsOf(query));
      return context.body(null, 204);
    });
}

function showFeed(feed: FeedView) {
  const { everyMs, ttlMs, createdMs, triedMs, goodMs, changedMs, dueMs, report, ...rest } = feed;
  const examples = Object.entries(report?.examples ?? {}).map(([why, nets]): [string, string[]] => [why, [...nets]]);
  return {
    ...rest,
    ...{ every: formatDurationMs(everyMs), ttl: formatDurationMs(ttlMs), created: timeOf(createdMs) },
    ...{ tried: timeOrNull(triedMs), good: timeOrNull(goodMs), changed: timeOrNull(changedMs), due: timeOf(dueMs) },
    report:
      report === null
        ? null
        : {
            ...{ listed: report.listed, badLines: report.badLines },
            ...{ leftOut: { ...report.leftOut }, examples: Object.fromEntries(examples) },
          },
  };
}

function showDetails({ lifted, ...feed }: FeedDetails) {
  return { ...showFeed(feed), lifted: lifted.map(({ atMs, ...each }) => ({ ...each, at: timeOf(atMs) })) };
}
