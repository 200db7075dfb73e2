import { createHash } from "node:crypto";
import { Fleet2banError } from "../../shared/errors.ts";
import type { HostDirectory } from "../hosts/host-directory.ts";
import type { Act } from "../ingest/admin-acts.ts";
import type { JudgeWriter } from "../ingest/judge-writer.ts";
import type { BanView as StoredBan } from "../store/bans.ts";
import type { Store } from "../store/open-store.ts";
import type { BanView, EnrollmentRequest, EnrollmentToken, Page, Principal } from "./desk.ts";

/** What the desk is built from. */
export type DeskParts = Readonly<{
  version: string;
  store: Store;
  writer: JudgeWriter;
  directory: HostDirectory;
  orderEpoch: number;
  /** Sentences about what is not as it should be. */
  degraded: () => readonly string[];
  /** `ok` or why the bus cannot be used. */
  busHealth: () => Promise<string>;
  enroll: (request: EnrollmentRequest, by: string) => Promise<EnrollmentToken>;
  now: () => number;
}>;

export function actOf(asker: Principal, note: string | null): Act {
  return { by: asker.name, note };
}

export function showBan(directory: HostDirectory, ban: StoredBan): BanView {
  return { ...ban, scope: directory.showScope(ban.scope) };
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
  throw new Fleet2banError("invalid", "cursor: not one of ours; take `next` from the page before");
}

/** Names a state: the same for the same, another for any other. */
export function etagOf(state: unknown): string {
  return createHash("sha256").update(JSON.stringify(state)).digest("base64url").slice(0, 16);
}
