import type { Fail2banDatabase, ImportedPosition } from "./jails/import-fail2ban-database.ts";
import type { FilePosition } from "./logs/file-identity.ts";
import { importedPosition } from "./logs/imported-position.ts";
import type { Store } from "./store/open-store.ts";

/** What was taken over. `positions` are logs that are still the files fail2ban read. */
export type ImportSummary = Readonly<{
  bans: number;
  /** Bans that stand here already: they keep what this agent knows of them. */
  bansKnown: number;
  histories: number;
  positions: number;
  /** Logs that are other files by now, or whose place is known here already: read as if never seen, or as before. */
  positionsLeft: number;
  unreadable: number;
}>;

/**
 * Takes over what fail2ban remembered. Done twice it changes nothing more: what is known here stays.
 */
export async function importFail2ban(found: Fail2banDatabase, store: Store, nowMs: number): Promise<ImportSummary> {
  const standing = new Set(store.bans.standing(nowMs).map(({ jail, id }) => `${jail} ${id}`));
  const bans = found.bans.filter(({ jail, id }) => !standing.has(`${jail} ${id}`));
  store.bans.record(bans.map((ban) => ({ ...ban, ports: null })));
  store.bans.importHistory(found.histories);
  const known = store.positions.load();
  const wanted = firstPlaces(found.positions.filter(({ path }) => !known.has(path)));
  const positions = new Map<string, FilePosition>();
  for (const { path, firstLineHash, offset } of wanted) {
    const position = await importedPosition(path, firstLineHash, offset);
    if (position !== undefined) positions.set(path, position);
  }
  store.positions.saveSeen(positions, nowMs);
  store.positions.saveKept(positions, nowMs);
  return {
    bans: bans.length,
    bansKnown: found.bans.length - bans.length,
    histories: found.histories.length,
    positions: positions.size,
    positionsLeft: new Set(found.positions.map(({ path }) => path)).size - positions.size,
    unreadable: found.unreadable,
  };
}

/** fail2ban keeps a place per jail, the agent one per log: the earliest, so that no jail misses a line. */
function firstPlaces(positions: readonly ImportedPosition[]): Iterable<ImportedPosition> {
  const first = new Map<string, ImportedPosition>();
  for (const position of positions) {
    const known = first.get(position.path);
    if (known === undefined || position.offset < known.offset) first.set(position.path, position);
  }
  return first.values();
}
