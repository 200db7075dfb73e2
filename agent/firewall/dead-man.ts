/**
 * The dead man's switch: when a change may have cut this host off from its coordinator, it is taken back; when that
 * does not help, it was not the cause and comes into force again. Pure: events in, what to hold and release out.
 */
export type DeadManState = Readonly<{
  /** When the coordinator was last known to be within reach; null = not, or never. */
  reachedMs: number | null;
  /** Changes since then, oldest first. */
  unproven: readonly Batch[];
  rolledBack: Readonly<{ sinceMs: number; keys: readonly string[] }> | null;
}>;
type Batch = Readonly<{ atMs: number; keys: readonly string[] }>;

export type DeadManEvent =
  /** New elements went into the firewall. */
  | Readonly<{ kind: "changed"; keys: readonly string[] }>
  /** The coordinator (or the configured probe) answered a question asked at `sentMs`. */
  | Readonly<{ kind: "reached"; sentMs: number }>
  | Readonly<{ kind: "tick" }>;

export type DeadManStep = Readonly<{
  state: DeadManState;
  hold: readonly string[];
  release: readonly string[];
  /** What the operator must hear: `guilty` = the host was cut off by these elements, they stay out. */
  verdict: "rolled back" | "guilty" | "innocent" | null;
  keys: readonly string[];
}>;

export const calm: DeadManState = { reachedMs: null, unproven: [], rolledBack: null };

/** A cut is undone within a minute: this and the time one check takes. A NATS reconnect takes a few seconds. */
const waitMs = 40_000;
/** How long after a rollback the connection may take to come back. */
const proofMs = 60_000;
/** Only who was within reach shortly before a change can have been cut off by it. */
const freshMs = 75_000;
/** What came first after the last proof is the suspect; beyond this many the rest came when all was lost already. */
const keysMax = 20_000;

export function stepDeadMan(state: DeadManState, event: DeadManEvent, nowMs: number): DeadManStep {
  const step = (next: Partial<DeadManState>, rest: Partial<DeadManStep> = {}): DeadManStep => ({
    state: { ...state, ...next },
    hold: [],
    release: [],
    verdict: null,
    keys: [],
    ...rest,
  });
  if (event.kind === "changed") return step(watch(state, event.keys, nowMs));
  if (event.kind === "reached") {
    const { rolledBack } = state;
    const reachedMs = Math.max(state.reachedMs ?? event.sentMs, event.sentMs);
    const unproven = state.unproven.filter(({ atMs }) => atMs > event.sentMs);
    if (rolledBack === null || event.sentMs < rolledBack.sinceMs) return step({ reachedMs, unproven });
    return step({ reachedMs, unproven, rolledBack: null }, { verdict: "guilty", keys: rolledBack.keys });
  }
  if (state.rolledBack !== null) {
    if (nowMs - state.rolledBack.sinceMs < proofMs) return step({});
    const { keys } = state.rolledBack;
    return step({ reachedMs: null, unproven: [], rolledBack: null }, { verdict: "innocent", release: keys, keys });
  }
  const [oldest] = state.unproven;
  if (oldest === undefined || nowMs - oldest.atMs < waitMs) return step({});
  const keys = state.unproven.flatMap((batch) => batch.keys);
  return step({ unproven: [], rolledBack: { sinceMs: nowMs, keys } }, { verdict: "rolled back", hold: keys, keys });
}

function watch(state: DeadManState, keys: readonly string[], nowMs: number): Partial<DeadManState> {
  const suspects = state.unproven.reduce((sum, batch) => sum + batch.keys.length, 0);
  const wasWithinReach = state.reachedMs !== null && nowMs - state.reachedMs <= freshMs;
  const watching = state.unproven.length > 0 || (wasWithinReach && state.rolledBack === null);
  if (!watching || keys.length === 0 || suspects >= keysMax) return {};
  return { unproven: [...state.unproven, { atMs: nowMs, keys: keys.slice(0, keysMax - suspects) }] };
}
