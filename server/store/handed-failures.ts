import { contains, parseAddress, parseNet } from "../../shared/address.ts";
import type { Sql } from "./sql.ts";

/** A failure that was taken in by one coordinator and is judged by another. `atMs` as it counts. */
export type HandedFailure = Readonly<{
  atMs: number;
  tenant: string;
  host: string;
  jail: string;
  address: string;
  count: number;
  sample: string | null;
}>;

/** As it is kept: by host, so that names are not written once per failure. The sample is left out when there is none. */
type Part = [tenant: string, host: string, ...rows: Row[]][];
type Row = [atMs: number, address: string, jail: string, count: number, sample?: string];

/** Hands failures over, by partition; in the transaction that takes them in. */
export async function handFailures(sql: Sql, failures: ReadonlyMap<number, readonly HandedFailure[]>): Promise<void> {
  if (failures.size === 0) return;
  const values = [...failures].flatMap(([partition, rows]) => [partition, encodePart(rows)]);
  const places = [...failures.keys()].map((_, index) => `($${2 * index + 1}::integer, $${2 * index + 2})`);
  await sql.rows(
    `insert into handed_failures (partition, failures) values ${places.join(", ")}`,
    values,
    `hand-failures-${failures.size}`,
  );
}

/** Takes what was handed over to these partitions (null = all), oldest first; in the transaction that judges it. */
export async function takeHandedFailures(
  sql: Sql,
  share: ReadonlySet<number> | null,
  limit: number,
): Promise<HandedFailure[][]> {
  const rows = await sql.rows<{ id: number; failures: string }>(
    `delete from handed_failures where id in (
       select id from handed_failures where $1::integer[] is null or partition = any($1) order by id limit $2)
     returning id, failures`,
    [share === null ? null : [...share], limit],
    "take-handed",
  );
  return rows.toSorted((one, other) => one.id - other.id).map(({ failures }) => decodePart(failures));
}

function encodePart(failures: readonly HandedFailure[]): string {
  const part: Part = [];
  for (const { atMs, tenant, host, jail, address, count, sample } of failures) {
    const row: Row = sample === null ? [atMs, address, jail, count] : [atMs, address, jail, count, sample];
    const last = part.at(-1);
    // A batch's failures follow one another.
    if (last !== undefined && last[1] === host && last[0] === tenant) last.push(row);
    else part.push([tenant, host, row]);
  }
  return JSON.stringify(part);
}

function decodePart(text: string): HandedFailure[] {
  const part: Part = JSON.parse(text);
  return part.flatMap(([tenant, host, ...rows]) =>
    rows.map(([atMs, address, jail, count, sample = null]) => ({ atMs, tenant, host, jail, address, count, sample })),
  );
}

/** Forgets what is on its way about a net; the rest goes on. @returns how many failures */
export async function eraseHanded(sql: Sql, net: string): Promise<number> {
  const erased = parseNet(net);
  const rows = await sql.rows<{ id: number; failures: string }>("select id, failures from handed_failures for update");
  let count = 0;
  for (const { id, failures } of rows) {
    const all = decodePart(failures);
    const kept = all.filter(({ address }) => {
      const parsed = parseAddress(address);
      return erased === undefined || parsed === undefined || !contains(erased, parsed);
    });
    if (kept.length === all.length) continue;
    count += all.length - kept.length;
    await sql.rows("update handed_failures set failures = $2 where id = $1", [id, encodePart(kept)]);
  }
  return count;
}

/** Gives up the oldest of them, which cannot be judged. @returns how many: one, or none */
export async function dropHandedFailures(sql: Sql, share: ReadonlySet<number> | null): Promise<number> {
  return (await takeHandedFailures(sql, share, 1)).length;
}
