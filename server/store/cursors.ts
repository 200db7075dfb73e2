import type { HostState } from "./schema-fleet.ts";
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

  /** Takes over what a transaction before has moved, whether it is committed by now or not. */
  overtake(before: Cursors): void {
    for (const [key, row] of before.#moved) this.#cursors.set(key, row);
  }

  moved(): Readonly<{ rows: readonly CursorRow[]; newLives: readonly string[] }> {
    return { rows: [...this.#moved.values()], newLives: [...this.#newLives] };
  }
}

/** A host's name holds no blank. */
function keyOf(host: string, epoch: string): string {
  return `${host} ${epoch}`;
}

/** What the ingest asks about the hosts of its batches. */
export type HostStanding = Readonly<{ host: string; tenant: string; state: HostState; contribute: boolean }>;
/** `epoch` null = none of its batches has ever arrived. */
type SenderRow = HostStanding & Readonly<{ epoch: string | null; sequence: number; ahead: readonly number[] }>;
export type Senders = Readonly<{ standings: ReadonlyMap<string, HostStanding>; cursors: Cursors }>;

/** Who these hosts are and which of their batches are in; in one question, because it is asked for every transaction. */
export async function loadSenders(sql: Sql, hosts: readonly string[]): Promise<Senders> {
  // Joined, not `any($1)`: before the table's first statistics that would compare every row with every name.
  const rows = await sql.rows<SenderRow>(
    `select host, tenant, state, contribute, epoch, sequence, to_json(ahead) as ahead
     from hosts join unnest($1::text[]) as wanted (host) using (host) left join agent_cursors using (host)`,
    [hosts],
    "load-senders",
  );
  const known = rows.flatMap(({ host, epoch, sequence, ahead }) =>
    epoch === null ? [] : [{ host, epoch, sequence, ahead }],
  );
  return { standings: new Map(rows.map((row) => [row.host, row])), cursors: new Cursors(known) };
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
