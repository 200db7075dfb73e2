/** One hostile line as a jail's filter understood it. */
export type FoundFailure = Readonly<{
  /** What is counted and banned: mostly the address itself, sometimes a user name or another text of the log. */
  id: string;
  ip: string | null;
  atMs: number;
  user: string | null;
  /** Attempts this one stands for; 1 unless entered by hand. */
  count: number;
  lines: readonly string[];
  data: Readonly<Record<string, string>>;
}>;
