import type { FeedMode, FeedReport } from "../store/feeds.ts";

export type { FeedChange, FeedMode } from "../store/feeds.ts";

/** Somebody else's list, and how it stands. */
export type FeedView = Readonly<{
  name: string;
  source: string;
  /** `observe`: it is fetched and judged, and nobody is banned. */
  mode: FeedMode;
  everyMs: number;
  ttlMs: number;
  entriesMax: number;
  note: string;
  by: string;
  createdMs: number;
  triedMs: number | null;
  goodMs: number | null;
  changedMs: number | null;
  dueMs: number;
  /** Why the last try gave nothing: a word for programs, a sentence for people; null when it did. */
  why: string | null;
  problem: string | null;
  /** It is enforced, and its last good list is young enough. */
  inForce: boolean;
  /** Entries that are banned or would be, and those that are. */
  entries: number;
  banned: number;
  /** What people lifted of it for good. */
  exceptions: number;
  /** Of the last good list; null before the first. */
  report: FeedReport | null;
  /** It is going: what it banned is being lifted. */
  removing: boolean;
  etag: string;
}>;

export type FeedDetails = FeedView &
  Readonly<{
    /** The newest. */
    lifted: readonly Readonly<{ net: string; atMs: number; by: string; note: string | null }>[];
  }>;

export type FeedRequest = Readonly<{
  name: string;
  source: string;
  everyMs: number;
  ttlMs: number;
  entriesMax: number;
  note: string;
}>;
