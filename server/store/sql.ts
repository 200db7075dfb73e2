import type { NodePgDatabase } from "drizzle-orm/node-postgres";
import { Fleet2banError } from "../../shared/errors.ts";
import type { CopyParts } from "./copy-in.ts";

/**
 * Where a query runs: on any connection of the pool, or inside one transaction. `db` for typed queries about single
 * rows; `rows` for batches and for what drizzle has no words for.
 */
export type Sql = Readonly<{
  db: NodePgDatabase;
  /**
   * @param name  prepares the statement once per connection; for the hot path
   * @returns     rows as the caller describes them: the statement and its type stand side by side
   */
  rows<Row extends object>(text: string, values?: readonly unknown[], name?: string): Promise<Row[]>;
  /**
   * Runs a `copy … from stdin` with data that may still be coming; costs half of an insert, on both sides. One long copy
   * costs the database half of many of a thousand rows. Until it ends nothing else runs on this connection.
   */
  copyIn(text: string, parts: CopyParts): Promise<void>;
}>;

/** Classes 08 (connection), 57P (shutdown), 53 (resources). Source: PostgreSQL manual, appendix A. */
const downStates = /^(08|57P|53)/;
const downErrors = new Set([
  "EPIPE",
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOENT",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

/** Whether the database is away (and will be back), rather than our statement wrong. drizzle wraps errors of pg. */
export function isDown(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    const code = "code" in each ? String(each.code) : "";
    if (downStates.test(code) || downErrors.has(code)) return true;
    if (/Connection terminated|not queryable|timeout exceeded when trying to connect/.test(each.message)) return true;
  }
  return false;
}

export function isUniqueViolation(error: unknown): boolean {
  return hasState(error, "23505");
}

/** Whether PostgreSQL refused with this state. */
export function hasState(error: unknown, state: string): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    if ("code" in each && each.code === state) return true;
  }
  return false;
}

/** The database's error as we show it: away is `unavailable`, everything else stays what it was. */
export function storeError(error: unknown): unknown {
  if (error instanceof Fleet2banError || !isDown(error)) return error;
  return new Fleet2banError("unavailable", "the database cannot be reached: see that PostgreSQL runs and answers", {
    cause: error,
  });
}

/** Everything read in this transaction from now on is of one moment. The first statement of it. */
export async function readOneMoment(sql: Sql): Promise<void> {
  await sql.rows("set transaction isolation level repeatable read, read only");
}

/** The one row a statement promised. */
export function only<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Fleet2banError("internal", "the database returned no row where one was promised");
  return row;
}
