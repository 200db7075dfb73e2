import type { Sql } from "./sql.ts";

/** A coordinator's session that others wait for, while it waits for its own process. */
export type SilentSession = Readonly<{
  pid: number;
  /** Another one whenever its process has said anything. */
  place: string;
}>;

/**
 * Coordinators' transactions that others wait for and whose process has nothing to say at this moment, be it between
 * two statements or in the middle of a copy. That is normal for milliseconds.
 */
export async function silentSessions(sql: Sql): Promise<SilentSession[]> {
  return sql.rows<SilentSession>(
    `select pid, concat_ws(' ', xact_start, query_start, state_change, bytes_processed) as place
     from pg_stat_activity left join pg_stat_progress_copy using (pid)
     where pg_stat_activity.datname = current_database() and application_name like 'fleet2ban%'
       and wait_event = 'ClientRead' and xact_start is not null and pid in (
         select unnest(pg_blocking_pids(waiting.pid)) from pg_stat_activity as waiting
         where waiting.datname = current_database() and waiting.wait_event_type = 'Lock')`,
    [],
    "silent-sessions",
  );
}

/** Ends a session, with all that its transaction did, unless its process has spoken meanwhile. */
export async function endSilentSession(sql: Sql, { pid, place }: SilentSession): Promise<boolean> {
  const still = (await silentSessions(sql)).some((each) => each.pid === pid && each.place === place);
  if (still) await sql.rows("select pg_terminate_backend($1)", [pid]);
  return still;
}
