import { Fleet2banError } from "../../shared/errors.ts";
import { partitionCount } from "../domain/partition.ts";
import { ReplacedError } from "./replaced-error.ts";
import { locks } from "./seat.ts";
import { hasState, only, type Sql } from "./sql.ts";

/** The partitions a coordinator owns, with their fences. */
export type Share = ReadonlyMap<number, number>;
/** The leader's own: whoever has lost it leads no more. */
const leadersPartition = 0;

/** For one life of a coordinator's process; never given before. */
export async function newCoordinatorId(sql: Sql): Promise<number> {
  const rows = await sql.rows<{ id: number }>("select nextval(pg_get_serial_sequence('sharers', 'id')) as id");
  return only(rows).id;
}

/** Says that this coordinator would share the work; it must hold its presence lock. May be said again. */
export async function offerToShare(sql: Sql, id: number, url: string, nowMs: number): Promise<void> {
  await sql.rows("insert into sharers (id, url, since_ms) values ($1, $2, $3) on conflict do nothing", [
    id,
    url,
    nowMs,
  ]);
}

/** Takes over every partition: transactions of earlier owners fail from now on. Waits for those that are being committed. */
export async function takeEverything(sql: Sql, coordinator: number): Promise<void> {
  await sql.rows(
    `insert into partitions (partition, fence, owner) select number, 1, $1 from generate_series(0, $2) as number
     on conflict (partition) do update set fence = partitions.fence + 1, owner = excluded.owner`,
    [coordinator, partitionCount - 1],
  );
}

/**
 * Holds a coordinator's partitions until the transaction ends: the row locks are the guarantee that no two judge the same,
 * whatever each believes about its lease.
 *
 * @param how  `judge`: nobody may take them away meanwhile. `alone`: nobody judges anything at all meanwhile. `settle`: also
 *             waits for a transaction of our own whose connection was lost while it committed
 * @returns what it owns now
 */
export async function holdShare(sql: Sql, coordinator: number, how: keyof typeof holds | "alone"): Promise<Share> {
  const rows =
    how === "alone" ? await holdAll(sql) : await sql.rows<ShareRow>(holds[how], [coordinator], `hold-share-${how}`);
  return new Map(rows.filter(({ owner }) => owner === coordinator).map(({ partition, fence }) => [partition, fence]));
}
const holds = {
  judge: "select partition, fence, owner from partitions where owner = $1 order by partition for share",
  settle: "select partition, fence, owner from partitions where owner = $1 order by partition for update",
} as const;

/** While we wait for somebody's turn to end the others wait for us. One that is silent is ended by then; see `freeTheWay`. */
const aloneMs = 8_000;

async function holdAll(sql: Sql): Promise<ShareRow[]> {
  await sql.rows(`set local lock_timeout = ${aloneMs}`);
  try {
    return await sql.rows<ShareRow>("select partition, fence, owner from partitions order by partition for update");
  } catch (cause) {
    if (!hasState(cause, lockNotAvailable)) throw cause;
    const remedy = "one that is frozen is ended within some seconds; try again then";
    throw new Fleet2banError("unavailable", `another coordinator does not end its turn; ${remedy}`, { cause });
  } finally {
    await sql.rows("set local lock_timeout = 0").catch(() => undefined);
  }
}
/** Source: PostgreSQL manual, appendix A. */
const lockNotAvailable = "55P03";

type ShareRow = Readonly<{ partition: number; fence: number; owner: number }>;

/** The share as it is in this transaction's view, not held. */
export async function readShare(sql: Sql, coordinator: number): Promise<Share> {
  const rows = await sql.rows<ShareRow>("select partition, fence from partitions where owner = $1", [coordinator]);
  return new Map(rows.map(({ partition, fence }) => [partition, fence]));
}

/** @throws ReplacedError when another one leads */
export function checkLeads(share: Share): void {
  if (!share.has(leadersPartition)) throw new ReplacedError();
}

/** Those that share the work of the leader and whose session with the database lives. */
export async function livingSharers(sql: Sql): Promise<number[]> {
  const rows = await sql.rows<{ id: number }>(
    `select id from sharers join pg_locks on locktype = 'advisory' and granted and classid::bigint = $1::integer
       and objid::bigint = id where database = (select oid from pg_database where datname = current_database())
     order by id`,
    [locks.presence],
  );
  return rows.map(({ id }) => id);
}

/**
 * Gives each living coordinator its part. Run it in a transaction; it waits for turns that hold what changes hands, and
 * whoever loses or gets something notices at its next turn.
 *
 * @returns whether anything changed
 * @throws ReplacedError when another one leads
 */
export async function shareOut(sql: Sql, leader: number): Promise<boolean> {
  // Held until the end: nobody else takes the lead meanwhile.
  const [own] = await sql.rows<ShareRow>(
    "select partition, owner from partitions where partition = $1 and owner = $2 for share",
    [leadersPartition, leader],
  );
  if (own === undefined) throw new ReplacedError();
  const members = [leader, ...(await livingSharers(sql))];
  const rows = await sql.rows<ShareRow>("select partition, owner from partitions order by partition");
  const moved = [...moves(rows, members)];
  if (moved.length === 0) return false;
  // Only what changes hands: a turn that hangs holds up nobody else's. In the order in which everybody locks them.
  await sql.rows("select from partitions where partition = any($1::integer[]) order by partition for update", [
    moved.map(([partition]) => partition),
  ]);
  await sql.rows(
    `update partitions set owner = moved.owner, fence = fence + 1
     from unnest($1::integer[], $2::integer[]) as moved (partition, owner) where partitions.partition = moved.partition`,
    [moved.map(([partition]) => partition), moved.map(([, owner]) => owner)],
  );
  await sql.rows("delete from sharers where id <> all($1::integer[])", [members]);
  return true;
}

/** Equal parts with as little change as possible; the leader comes first and keeps its own partition. */
export function moves(
  owned: readonly Readonly<{ partition: number; owner: number | null }>[],
  members: readonly number[],
): ReadonlyMap<number, number> {
  const left = new Map(
    members.map((member, place) => {
      const more = place < owned.length % members.length ? 1 : 0;
      return [member, Math.floor(owned.length / members.length) + more];
    }),
  );
  const free: number[] = [];
  for (const { partition, owner } of owned) {
    const room = owner === null ? 0 : (left.get(owner) ?? 0);
    if (owner === null || room === 0) free.push(partition);
    else left.set(owner, room - 1);
  }
  const moved = new Map<number, number>();
  for (const [member, room] of left) for (const partition of free.splice(0, room)) moved.set(partition, member);
  return moved;
}
