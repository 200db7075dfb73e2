import type { Sql } from "./sql.ts";

/**
 * Which batches of one life of an agent are in: all up to `sequence`, and the single ones in `ahead` (ascending, all
 * above `sequence + 1`). Batches may arrive in any order and more than once; each counts once.
 */
export type Cursor = Readonly<{ sequence: number; ahead: readonly number[] }>;

/** Lives of one host that are remembered: a host that starts a new one with every batch must not fill the table. */
const epochsMaxPerHost = 16;

type CursorRow = Readonly<{ host: string; epoch: string; sequence: number; ahead: readonly number[] }>;

/** The cursors of some hosts, as read, and which of them have moved since. */
export class Cursors {
  readonly #cursors = new Map<string, CursorRow>();
  readonly #moved = new Map<string, CursorRow>();
  readonly #newLives = new Set<string>();

  constructor(rows: readonly CursorRow[]) {
    for (const row of rows) this.#cursors.set(keyOf(row.host, row.epoch), row);
  }

  get(host: string, epoch: string): Cursor | undefined {
    return this.#cursors.get(keyOf(host, epoch));
  }

  set(host: string, epoch: string, cursor: Cursor): void {
    const row = { host, epoch, ...cursor };
    const key = keyOf(host, epoch);
    if (!this.#cursors.has(key)) this.#newLives.add(host);
    this.#cursors.set(key, row);
    this.#moved.set(key, row);
  }

  moved(): Readonly<{ rows: readonly CursorRow[]; newLives: readonly string[] }> {
    return { rows: [...this.#moved.values()], newLives: [...this.#newLives] };
  }
}

/** A host's name holds no blank. */
function keyOf(host: string, epoch: string): string {
  return `${host} ${epoch}`;
}

export async function loadCursors(sql: Sql, hosts: readonly string[]): Promise<Cursors> {
  // Joined, not `any($1)`: before the table's first statistics that would compare every row with every name.
  const rows = await sql.rows<CursorRow>(
    `select host, epoch, sequence, to_json(ahead) as ahead
     from agent_cursors join unnest($1::text[]) as wanted (host) using (host)`,
    [hosts],
    "load-cursors",
  );
  return new Cursors(rows);
}

export async function saveCursors(sql: Sql, cursors: Cursors, nowMs: number): Promise<void> {
  const { rows, newLives } = cursors.moved();
  if (rows.length === 0) return;
  await sql.rows(
    `insert into agent_cursors (host, epoch, sequence, ahead, updated_ms)
     select host, epoch, sequence, ahead, $2 from json_to_recordset($1)
       as row(host text, epoch text, sequence bigint, ahead bigint[])
     on conflict (host, epoch) do update set sequence = excluded.sequence, ahead = excluded.ahead,
       updated_ms = excluded.updated_ms`,
    [JSON.stringify(rows), nowMs],
    "save-cursors",
  );
  if (newLives.length === 0) return;
  await sql.rows(
    `delete from agent_cursors using (
       select host, epoch, row_number() over (partition by host order by updated_ms desc, epoch) as place
       from agent_cursors where host = any($1)) as old
     where old.place > $2 and agent_cursors.host = old.host and agent_cursors.epoch = old.epoch`,
    [newLives, epochsMaxPerHost],
  );
}

export async function pruneCursors(sql: Sql, beforeMs: number): Promise<void> {
  // The life a host is living now stays, however long the host has been silent.
  await sql.rows(
    `delete from agent_cursors using (
       select host, epoch, row_number() over (partition by host order by updated_ms desc, epoch) as place
       from agent_cursors) as old
     where old.place > 1 and updated_ms < $1 and agent_cursors.host = old.host and agent_cursors.epoch = old.epoch`,
    [beforeMs],
  );
}
