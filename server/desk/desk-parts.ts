import { createHash } from "node:crypto";
import { Fleet2banError } from "../../shared/errors.ts";
import type { Events } from "../events.ts";
import type { AddressHomes } from "../geo/address-home.ts";
import type { HostDirectory } from "../hosts/host-directory.ts";
import type { Act } from "../ingest/act.ts";
import type { JudgeWriter } from "../ingest/judge-writer.ts";
import type { Store } from "../store/open-store.ts";
import type { EnrollmentRequest, EnrollmentToken, Page, Principal } from "./desk.ts";
import type { WriteOptions } from "./desk-views.ts";

/** What the desk is built from. */
export type DeskParts = Readonly<{
  version: string;
  store: Store;
  writer: JudgeWriter;
  directory: HostDirectory;
  /** Of the order log's life now; read it when it is needed, a new life may begin. */
  orderEpoch: number;
  /** Sentences about what is not as it should be. */
  degraded: () => readonly string[];
  /** `ok` or why the bus cannot be used. */
  busHealth: () => Promise<string>;
  enroll: (request: EnrollmentRequest, by: string) => Promise<EnrollmentToken>;
  /** What the bus does when people change a host. Absent: nothing hears of it but the database. */
  hostActs?: HostActs;
  /** Who looks after feeds. Absent: nobody here does. */
  feeds?: FeedActs;
  /** Live events and latencies come from here; absent: there are none. */
  events?: Pick<Events, "watch" | "latency" | "gauge" | "gauges">;
  /** Where addresses are at home; absent: nothing is known. */
  homes?: AddressHomes;
  now: () => number;
}>;

export type FeedActs = Readonly<{
  /** Fetches it now; resolves when its list is judged. */
  refresh: (name: string, acceptSize: boolean) => Promise<void>;
  /** Makes the bans follow what has changed, in its own time. */
  settleSoon: () => void;
}>;

export type HostActs = Readonly<{
  /** Ends the connection of whoever holds this key, and lets him in never again. */
  revoke: (publicKey: string) => Promise<void>;
  /** What is said to it of itself has changed: whether it observes. */
  tell: (host: string) => void;
  /** It belongs to another tenant now: sends it that one's credentials, and ends those it had. */
  move: (host: string, movedMs: number) => Promise<void>;
}>;

export function actOf(asker: Principal, note: string | null): Act {
  return { by: asker.name, note, requestId: asker.requestId, token: asker.tokenId };
}

/** For what is the fleet's alone. */
export function requireFleet(asker: Principal, what: string): void {
  if (asker.tenant === null) return;
  throw new Fleet2banError(
    "forbidden",
    `${what} needs a token of the whole fleet; yours is for tenant ${asker.tenant}`,
  );
}

/** A tenant's token acts for its tenant only. */
export function requireTenant(asker: Principal, tenant: string | null): void {
  if (asker.tenant === null || asker.tenant === tenant) return;
  throw new Fleet2banError("forbidden", `tenant: your token is for tenant ${asker.tenant}; name that one`);
}

/** One row more than asked for tells whether there is a next page. */
export function pageOf<Row, View>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (row: Row) => string,
  show: (row: Row) => View,
): Page<View> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown.map(show), next: rows.length > limit && last !== undefined ? cursorOf(last) : null };
}

export function readCursor(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw badCursor();
}

/** The number before which the page ends; null = from the beginning. */
export function beforeOf(cursor: string | undefined): number | null {
  return cursor === undefined ? null : readCursor(cursor);
}

export function badCursor(): Fleet2banError {
  return new Fleet2banError("invalid", "cursor: not one of ours; take `next` from the page before");
}

/** Names a state: the same for the same, another for any other. */
export function etagOf(state: unknown): string {
  return createHash("sha256").update(JSON.stringify(state)).digest("base64url").slice(0, 16);
}

/** Whether a state is the one the asker saw; without `ifMatch` any is. */
export function seenBy(options: WriteOptions | undefined): (state: unknown) => boolean {
  const ifMatch = options?.ifMatch;
  return (state) => ifMatch === undefined || ifMatch === "*" || ifMatch === etagOf(state);
}
