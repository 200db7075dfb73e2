import { lookup } from "node:dns/promises";
import { readFileSync, statSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import type { IgnoreSources } from "./ignore-list.ts";

/** A list of addresses is short; a larger file is a mistake, or a trap for the agent's memory. */
const fileBytesMax = 4_000_000;

/** The ignore list's view of the machine it runs on. */
export const systemIgnoreSources: IgnoreSources = {
  selfAddresses: () => Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)),
  selfNames: () => ["localhost", hostname()],
  fileVersion(path) {
    try {
      const stats = statSync(path);
      return stats.isFile() && stats.size <= fileBytesMax ? `${stats.mtimeMs} ${stats.size}` : undefined;
    } catch {
      return undefined;
    }
  },
  readFile(path) {
    try {
      return readFileSync(path, "utf8");
    } catch {
      // Gone or unreadable since it was looked at: the list read before stands.
      return undefined;
    }
  },
  resolve: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
};
