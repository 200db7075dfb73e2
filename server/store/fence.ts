import { Fleet2banError } from "../../shared/errors.ts";
import { only, type Sql } from "./sql.ts";

/**
 * Takes over a partition: every transaction of an earlier owner fails from now on. Waits for one that is being committed.
 *
 * @returns the token to show in each transaction
 */
export async function takeFence(sql: Sql, partition: number): Promise<number> {
  const rows = await sql.rows<{ fence: number }>(
    `insert into partitions (partition, fence) values ($1, 1)
     on conflict (partition) do update set fence = partitions.fence + 1 returning fence`,
    [partition],
  );
  return only(rows).fence;
}

/**
 * Holds the partition until the transaction ends. The row lock is the guarantee that two coordinators never write
 * alternately, whatever each believes about its lease.
 *
 * @param exclusive  also waits for a transaction of our own whose connection was lost while it committed
 * @throws Fleet2banError `conflict` when another coordinator has taken over
 */
export async function checkFence(sql: Sql, partition: number, fence: number, exclusive = false): Promise<void> {
  const lock = exclusive ? "update" : "share";
  const rows = await sql.rows<{ fence: number }>(
    `select fence from partitions where partition = $1 for ${lock}`,
    [partition],
    `fence-${lock}`,
  );
  if (only(rows).fence === fence) return;
  throw new ReplacedError();
}

/** Another coordinator writes now. Nothing can be done but to end: whoever goes on would only ever be refused. */
export class ReplacedError extends Fleet2banError {
  constructor() {
    super("conflict", "another coordinator has taken over this database; this one must not write any more, stop it");
  }
}
