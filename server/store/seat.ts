import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { messageOf } from "../../shared/errors.ts";
import type { Logger } from "../logger.ts";
import { ReplacedError } from "./replaced-error.ts";
import { type Sql, storeError } from "./sql.ts";

/** First numbers of the locks; any that nobody else in the database uses. The second number says which seat. */
export const locks = { leader: 73_120_042, presence: 73_120_043 } as const;
/** How soon a coordinator that stands by notices that the seat is free. */
const askEveryMs = 500;
const answerMs = 5_000;
/**
 * The database ends the session of a coordinator that is frozen, and with it its seat. Longer than rebuilding the
 * judgement of a million failures keeps it from answering.
 */
const silenceMs = 60_000;
/** A machine that is gone, not only its process: noticed by the database's own network stack. */
export const keepalives = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=2";

export type SeatOptions = Readonly<{
  url: string;
  /** `leader`: the one there is (0). `presence`: a coordinator's own, by its id; it tells the leader that it lives. */
  seat: Readonly<{ kind: keyof typeof locks; number: number }>;
  log: Logger;
  /** Somebody else has it: this coordinator must end. */
  lost: (error: ReplacedError) => void;
}>;

export type Seat = AsyncDisposable &
  Readonly<{
    /** Whether it is ours now. */
    tryTake(): Promise<boolean>;
    /** Waits until it is ours; false when `signal` came first. */
    take(signal: AbortSignal): Promise<boolean>;
  }>;

/**
 * The seat of the one coordinator that leads: a lock of the database's that lives as long as a session of ours. It says
 * who should lead and passes on within a second of the leader's end. It is no guarantee, the partitions are: whoever sits
 * down takes them all over, and transactions of an earlier owner fail.
 */
export function openSeat(options: SeatOptions): Seat {
  const closing = new AbortController();
  let session: pg.Client | undefined;
  let holding: Promise<void> = Promise.resolve();

  const ask = async (): Promise<boolean> => {
    session ??= await connect(options.url);
    const values = [locks[options.seat.kind], options.seat.number];
    try {
      // Once ours it is only asked whether the session lives: the lock would count how often it was taken.
      const { rows } = await session.query<{ taken: boolean }>(
        `select exists (select from pg_locks where locktype = 'advisory' and granted and pid = pg_backend_pid()
             and classid::bigint = $1::integer and objid::bigint = $2::integer)
           or pg_try_advisory_lock($1::integer, $2::integer) as taken`,
        values,
      );
      return rows[0]?.taken === true;
    } catch (error) {
      await end();
      throw storeError(error);
    }
  };
  const end = async (): Promise<void> => {
    const ended = session;
    session = undefined;
    await ended?.end().catch(() => undefined);
  };
  const hold = async (): Promise<void> => {
    let isAway = false;
    while (await pause(closing.signal)) {
      try {
        if (!(await ask())) {
          options.lost(new ReplacedError());
          return;
        }
        if (isAway) options.log.info({ event: "seat_kept" }, "the database is back, and this coordinator still leads");
        isAway = false;
      } catch (error) {
        if (!isAway) options.log.warn({ problem: messageOf(error) }, "could not reach the database to keep the seat");
        isAway = true;
      }
    }
  };
  const tryTake = async (): Promise<boolean> => {
    const isOurs = await ask();
    if (isOurs) holding = hold();
    return isOurs;
  };
  return {
    tryTake,
    async take(signal) {
      const ended = AbortSignal.any([signal, closing.signal]);
      while (await pause(ended)) {
        try {
          if (await tryTake()) return true;
        } catch (error) {
          options.log.debug({ problem: messageOf(error) }, "could not ask for the seat");
        }
      }
      return false;
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await holding;
      await end();
    },
  };
}

/** False when it was cut short. */
function pause(signal: AbortSignal): Promise<boolean> {
  return sleep(askEveryMs, true, { signal }).catch(() => false);
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: answerMs,
    query_timeout: answerMs,
    application_name: "fleet2ban seat",
    options: `-c idle_session_timeout=${silenceMs} ${keepalives}`,
  });
  // Its next statement fails too, and is handled there.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw storeError(error);
  }
}

/** Who leads, as it says of itself. */
export type Leader = Readonly<{
  /** Where people reach it. */
  url: string;
  /** Short name of the key it signs orders with: all coordinators of a fleet must have the same. */
  keys: string;
  sinceMs: number;
}>;

export async function announceLeader(sql: Sql, leader: Leader): Promise<void> {
  await sql.rows(
    `insert into meta (key, value) values ('leader', $1) on conflict (key) do update set value = excluded.value`,
    [JSON.stringify(leader)],
  );
}

/** The one that leads or led last; undefined before the first. */
export async function findLeader(sql: Sql): Promise<Leader | undefined> {
  const [row] = await sql.rows<{ value: Leader }>("select value from meta where key = 'leader'");
  return row?.value;
}
