import { type FSWatcher, statSync, watch } from "node:fs";
import type { Logger } from "../logger.ts";

/** Watches are a shared resource of the kernel; logs beyond are found by the poll, a second or two later. */
export const watchedDirectoriesMax = 256;

export type DirectoryWatch = Disposable &
  Readonly<{
    /** From now on exactly these; one that was deleted and made again is watched anew. */
    set(directories: ReadonlySet<string>): void;
  }>;

/** `isNews`: a name appeared or went, not only some bytes. */
export type DirectoryListener = (directory: string, name: string | null, isNews: boolean) => void;

type Watched = Readonly<{ watcher: FSWatcher; inode: number }>;

/**
 * Tells at once when a file of a directory changes, appears or goes. Only a hint: an event may be missing, for a
 * network file system all are, so whoever listens also polls.
 */
export function watchDirectories(onEvent: DirectoryListener, log: Logger): DirectoryWatch {
  const watched = new Map<string, Watched>();
  let isRefused = false;

  const drop = (directory: string): void => {
    watched.get(directory)?.watcher.close();
    watched.delete(directory);
  };

  const add = (directory: string, inode: number): void => {
    try {
      const watcher = watch(directory, { persistent: false }, (event, name) =>
        onEvent(directory, name, event === "rename"),
      );
      watcher.on("error", () => drop(directory));
      watched.set(directory, { watcher, inode });
    } catch (err) {
      if (!isRefused) {
        log.warn(
          { directory, err, event: "watch_refused" },
          "the system refused to watch a log directory; its logs are polled, which is slower (raise fs.inotify.max_user_watches)",
        );
      }
      isRefused = true;
    }
  };

  return {
    set: (directories) => {
      for (const directory of watched.keys()) if (!directories.has(directory)) drop(directory);
      for (const directory of directories) {
        const inode = inodeOf(directory);
        const known = watched.get(directory);
        if (known !== undefined && known.inode !== inode) drop(directory);
        if (inode !== undefined && !watched.has(directory) && watched.size < watchedDirectoriesMax)
          add(directory, inode);
      }
    },
    [Symbol.dispose]: () => {
      for (const directory of [...watched.keys()]) drop(directory);
    },
  };
}

function inodeOf(directory: string): number | undefined {
  try {
    return statSync(directory, { throwIfNoEntry: false })?.ino;
  } catch {
    return undefined;
  }
}
