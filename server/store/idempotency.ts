import { dayMs } from "../../shared/durations.ts";
import type { Sql } from "./sql.ts";

/** How long a key is remembered. */
const keptMs = dayMs;

export type Answer = Readonly<{ status: number; body: string | null; etag: string | null }>;
export type OnceState =
  /** Nobody used the key before: go on. */
  | Readonly<{ kind: "first" }>
  /** It is being worked on, or was left in the middle. */
  | Readonly<{ kind: "running" }>
  /** It was used for something else. */
  | Readonly<{ kind: "other" }>
  | (Readonly<{ kind: "done" }> & Answer);

type Row = Readonly<{ request: string; status: number | null; body: string | null; etag: string | null }>;

export async function startOnce(
  sql: Sql,
  tokenId: number,
  key: string,
  request: string,
  nowMs: number,
): Promise<OnceState> {
  await sql.rows("delete from idempotency where created_ms < $1", [nowMs - keptMs]);
  const made = await sql.rows(
    `insert into idempotency (token_id, key, request, created_ms) values ($1, $2, $3, $4)
     on conflict do nothing returning key`,
    [tokenId, key, request, nowMs],
  );
  if (made.length > 0) return { kind: "first" };
  const [known] = await sql.rows<Row>(
    "select request, status, body, etag from idempotency where token_id = $1 and key = $2",
    [tokenId, key],
  );
  if (known === undefined) return { kind: "running" };
  if (known.request !== request) return { kind: "other" };
  const { status, body, etag } = known;
  return status === null ? { kind: "running" } : { kind: "done", status, body, etag };
}

/** @param answer  null = it failed on our side, and may be tried again */
export async function finishOnce(sql: Sql, tokenId: number, key: string, answer: Answer | null): Promise<void> {
  if (answer === null) {
    await sql.rows("delete from idempotency where token_id = $1 and key = $2", [tokenId, key]);
    return;
  }
  await sql.rows("update idempotency set status = $3, body = $4, etag = $5 where token_id = $1 and key = $2", [
    tokenId,
    key,
    answer.status,
    answer.body,
    answer.etag,
  ]);
}

/**
 * Forgets answers that name a net or what lies inside it: a repeated write is told that it was done, without its answer.
 */
export async function eraseAnswers(sql: Sql, net: string): Promise<void> {
  await sql.rows(
    `update idempotency set body = null, etag = null, status = ${noContent}
     where exists (select from jsonb_path_query(body::jsonb, 'strict $.** ? (exists (@.net))') as named (what)
       where (what ->> 'net')::inet <<= $1::inet)`,
    [net],
  );
}
const noContent = 204;
