import { formatNet, parseNet } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { appendAudit } from "../store/audit.ts";
import { plainText } from "../store/plain-text.ts";
import type { Sql } from "../store/sql.ts";

/** Who acts, as it stands in the audit log, and why, in the admin's own words. */
export type Act = Readonly<{
  by: string;
  note: string | null;
  /** The request and the token it came with. */
  requestId?: string | undefined;
  token?: number | undefined;
}>;

/** What an entry says besides who, what and when. `tenant`: whom it concerns besides the fleet; it may read it. */
export type Change = Readonly<{
  tenant: string | null;
  before?: unknown;
  after?: unknown;
  /** Counts against what a tenant may lift by itself in a day. */
  selfService?: boolean;
}>;

/** Call it in the transaction of the act itself: both happen or neither. */
export async function writeAudit(
  { sql, nowMs }: Readonly<{ sql: Sql; nowMs: number }>,
  act: Act,
  action: string,
  target: string,
  change: Change,
): Promise<void> {
  const { by: actor, note: said, requestId, token } = act;
  const note = said === null ? null : plainText(said);
  await appendAudit(sql, { atMs: nowMs, actor, action, target, detail: { ...change, note, requestId, token } });
}

/** @throws Fleet2banError `invalid` */
export function canonical(text: string): string {
  const net = parseNet(text);
  if (net !== undefined) return formatNet(net);
  throw new Fleet2banError("invalid", `net: "${text}" is not an address or network such as 192.0.2.0/24`);
}
