import type { Desk, Role } from "../../../server/desk/desk.ts";
import { roles } from "../../../server/desk/desk.ts";
import { openDesk } from "../../../server/desk/open-desk.ts";
import { createEvents, type Events } from "../../../server/events.ts";
import { type FeedKeeper, openFeedKeeper } from "../../../server/feeds/keeper.ts";
import { openAddressHomes } from "../../../server/geo/open-address-homes.ts";
import { HostDirectory } from "../../../server/hosts/host-directory.ts";
import { createApp } from "../../../server/http/app.ts";
import { type RateLimit, rateLimitDefault } from "../../../server/http/rate-limit.ts";
import type { Commit } from "../../../server/ingest/judge-writer.ts";
import { openLogger } from "../../../server/logger.ts";
import { offerShare } from "../../../server/sharing.ts";
import { listHosts } from "../../../server/store/hosts.ts";
import { insertApiToken, insertEnrollmentToken } from "../../../server/store/tokens.ts";
import { type Arena, openArena, startMs } from "../ingest/arena.ts";

export type Who = `${Role}@${string}`;
export type Asked = Readonly<{
  as?: Who;
  body?: unknown;
  headers?: Readonly<Record<string, string>>;
}>;

/** The API over a real database and judgement, without a bus: everything but agents. */
export type ApiArena = AsyncDisposable &
  Readonly<{
    arena: Arena;
    desk: Desk;
    directory: HostDirectory;
    app: ReturnType<typeof createApp>;
    events: Events;
    feeds: FeedKeeper;
    revoked: string[];
    renewed: string[];
    /** `admin@fleet`, `viewer@acme` … */
    token(who: Who): string;
    /** Paths below /api/v1. */
    call(method: string, path: string, asked?: Asked): Promise<Response>;
    /** The same, for what must succeed. */
    ok<T>(method: string, path: string, asked?: Asked): Promise<T>;
  }>;

export async function openApi(
  fleet: Readonly<Record<string, readonly string[]>> = { default: ["h1", "h2"] },
  rateLimit: RateLimit = { ...rateLimitDefault, burst: 100_000 },
): Promise<ApiArena> {
  const arena = await openArena(fleet);
  const { store } = arena;
  const log = openLogger("silent");
  const events = createEvents(log, () => arena.nowMs);
  offerShare(events, arena);
  const directory = new HostDirectory();
  directory.load(await listHosts(store, null, null, 1000));
  const revoked: string[] = [];
  const renewed: string[] = [];
  let told = 0;
  const tell = (): void => {
    for (const commit of arena.commits.slice(told)) tellEvents(events, commit);
    told = arena.commits.length;
  };
  const { writer } = arena;
  const feeds = await openFeedKeeper({ store, writer, events, folder: "/nowhere", now: () => arena.nowMs });
  const desk = openDesk({
    ...{ version: "test", store, writer, directory, orderEpoch: 1, events, feeds },
    degraded: () => [],
    busHealth: async () => "ok",
    async enroll({ tenant, host, uses, durationMs }, createdBy) {
      const createdMs = arena.nowMs;
      const untilMs = createdMs + durationMs;
      const made = await insertEnrollmentToken(store, { tenant, host, uses, createdMs, createdBy, untilMs });
      return { token: `f2b-enroll-${made.token}`, tenant, uses, untilMs };
    },
    homes: openAddressHomes({ country: "auto", networkOwner: "auto" }),
    hostActs: {
      revoke: async (publicKey) => void revoked.push(publicKey),
      tell: () => undefined,
      move: async (host) => void renewed.push(host),
    },
    now: () => arena.nowMs,
  });
  const app = createApp(desk, log, () => events.registry.metrics(), rateLimit);
  const tokens = new Map<Who, string>();
  for (const role of roles) {
    for (const tenant of ["fleet", ...Object.keys(fleet)]) {
      const name = `${role} of ${tenant}`;
      const scope = tenant === "fleet" ? null : tenant;
      const made = await insertApiToken(store, { name, role, tenant: scope, createdMs: startMs, untilMs: null });
      tokens.set(`${role}@${tenant}`, made.token);
    }
  }
  const token = (who: Who): string => {
    const found = tokens.get(who);
    if (found === undefined) throw new Error(`no token for ${who}`);
    return found;
  };
  const call: ApiArena["call"] = async (method, path, { as = "admin@fleet", body, headers } = {}) => {
    const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
    const response = await app.request(`/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token(as)}`,
        ...(text === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(text === undefined ? {} : { body: text }),
    });
    tell();
    return response;
  };
  return {
    ...{ arena, desk, directory, app, events, feeds, revoked, renewed, token, call },
    async ok<T>(method: string, path: string, asked?: Asked) {
      const response = await call(method, path, asked);
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
      return (response.status === 204 ? undefined : await response.json()) as T;
    },
    async [Symbol.asyncDispose]() {
      await feeds[Symbol.asyncDispose]();
      await arena[Symbol.asyncDispose]();
    },
  };
}

function tellEvents(events: Events, { decisions }: Commit): void {
  for (const decision of decisions) {
    if (decision.kind === "ban") events.banned(decision);
    else if (decision.kind === "unban") events.unbanned(decision);
    else if (decision.kind === "mistake") events.mistaken(decision);
    else if (decision.kind === "quarantine") events.refused("quarantined", decision);
    else events.stopped(decision.kind, decision);
  }
}
