import type { CapturedGroups } from "./captured-groups.ts";
import { marks } from "./filter-regex.ts";

/** Connections remembered per jail, and for how long: fail2ban's numbers, because what is forgiven depends on them. */
const connectionsMax = 100;
const connectionMs = 5 * 60_000;
/** Lines kept per connection. A peer that keeps one connection open could fill the memory otherwise. */
const connectionLinesMax = 100;
/** Users kept per connection; more than one is all that matters. */
const connectionUsersMax = 100;

const none: readonly string[] = [];

/** What is known of one connection (one `mlfid`): several log lines that together are a failure, or are none. */
export type Connection = {
  groups: CapturedGroups;
  users: Set<string> | null;
  /** Lines of failures; lines that were no failure by themselves. */
  lines: readonly string[];
  harmlessLines: readonly string[];
  /** The last line was no failure by itself (`nofail`), or a success (`gained`). */
  harmless: boolean;
  /** A failure whose address is still to come. */
  pending: boolean;
  expiresAtMs: number;
};

/** The connections of one jail. Full, the oldest makes room; time is what the caller says it is. */
export class Connections {
  #byId = new Map<string, Connection>();
  #forgotten = 0;

  /**
   * Adds a matched line to its connection and returns the sum.
   *
   * @param groups  captured from this line; goes on after what the connection's earlier lines captured
   * @param marked  what the line means for the connection, as bits of `marks`
   */
  merge(id: string, groups: CapturedGroups, marked: number, lines: readonly string[], nowMs: number): Connection {
    const gained = (marked & marks.gained) !== 0;
    const forget = (marked & marks.forget) !== 0;
    const harmless = (marked & marks.harmless) !== 0;
    const user = groups.user;
    const known = this.#get(id, nowMs);
    const connection = known === undefined ? startConnection(groups, nowMs) : this.#extend(known, groups, gained);
    if (forget) this.#forget(id);
    else if (known === undefined) this.#add(id, connection, nowMs);
    if (!forget || known !== undefined) noteUser(connection, user);
    // An attempt with several users, or one after a failure whose address was awaited, is never forgiven.
    const unforgiven = connection.pending || (connection.users?.size ?? 0) > 1;
    connection.pending = false;
    connection.harmless = harmless && !unforgiven;
    if (!connection.harmless) {
      connection.lines = joined(joined(connection.harmlessLines, connection.lines), lines);
      connection.harmlessLines = none;
    } else if (!forget) connection.harmlessLines = joined(connection.harmlessLines, lines);
    return connection;
  }

  #extend(known: Connection, groups: CapturedGroups, gained: boolean): Connection {
    if (gained) known.pending = false;
    // Lines of a failure that was already told about are not told again.
    if (!known.harmless && !known.pending) known.lines = none;
    groups.continueFrom(known.groups);
    known.groups = groups;
    return known;
  }

  #get(id: string, nowMs: number): Connection | undefined {
    const known = this.#byId.get(id);
    if (known === undefined || known.expiresAtMs > nowMs) return known;
    this.#forget(id);
    return undefined;
  }

  #add(id: string, connection: Connection, nowMs: number): void {
    if (this.#byId.size >= connectionsMax) {
      for (const [oldId, old] of this.#byId) {
        this.#forget(oldId);
        if (old.expiresAtMs > nowMs) break;
      }
    }
    this.#byId.set(id, connection);
  }

  /**
   * A Map that loses as many entries as it gets grows new tables all the time, and V8 links each to the next: once one
   * of them is old, it keeps all that follow, with everything in them, until the next full collection (measured: a
   * sixth of what was allocated). A new Map begins a new chain.
   */
  #forget(id: string): void {
    if (!this.#byId.delete(id)) return;
    this.#forgotten += 1;
    if (this.#forgotten < connectionsMax) return;
    this.#forgotten = 0;
    this.#byId = new Map(this.#byId);
  }
}

function startConnection(groups: CapturedGroups, nowMs: number): Connection {
  return {
    groups,
    users: null,
    lines: none,
    harmlessLines: none,
    harmless: false,
    pending: false,
    expiresAtMs: nowMs + connectionMs,
  };
}

function noteUser(connection: Connection, user: string | undefined): void {
  if (user === undefined || user === "") return;
  connection.users ??= new Set();
  if (connection.users.size < connectionUsersMax) connection.users.add(user);
}

/** The newest lines of both. Most connections have few, so arrays are shared where they can be. */
function joined(older: readonly string[], newer: readonly string[]): readonly string[] {
  if (older.length === 0) return newer;
  if (newer.length === 0) return older;
  const all = [...older, ...newer];
  return all.length > connectionLinesMax ? all.slice(-connectionLinesMax) : all;
}
