import type { ReceivedFrame } from "../../shared/order-frame.ts";

/** What the coordinator last said, in whose life and when by its clock. */
export type ObserveWord = Readonly<{ observe: boolean; epoch: number; atMs: number }>;
export type ObserveStore = Readonly<{
  observeWord(): ObserveWord | undefined;
  saveObserveWord(word: ObserveWord): void;
}>;

/**
 * Whether this host only observes: it follows its orders and reports, and carries out no ban of them. What its own jails
 * ban it goes on banning, and allows, nevers and lifts count as ever: the word can take the fleet's bans away, never the
 * host's own protection (a coordinator in wrong hands must not be able to) nor anybody's exception. It is kept over
 * restarts and while cut off.
 */
export class ObserveMode {
  readonly #store: ObserveStore;
  #word: ObserveWord | undefined;

  constructor(store: ObserveStore) {
    this.#store = store;
    this.#word = store.observeWord();
  }

  get on(): boolean {
    return this.#word?.observe ?? false;
  }

  /** Takes what a frame of the host's own scope says, unless it is older than what is known. @returns whether that is new */
  take({ observe, epoch, atMs }: Pick<ReceivedFrame, "observe" | "epoch" | "atMs">): boolean {
    if (observe === undefined) return false;
    const known = this.#word;
    if (known !== undefined && (epoch < known.epoch || (epoch === known.epoch && atMs < known.atMs))) return false;
    const before = this.on;
    this.#word = { observe, epoch, atMs };
    // Written when it changes, and not with every heartbeat: an older frame can then only say the same again.
    if (before !== observe || known === undefined) this.#store.saveObserveWord(this.#word);
    return before !== observe;
  }
}
