import { join } from "node:path";

/** Where the running agent listens: beside its store, so that the directory's permissions protect both. */
export function controlPath(stateDir: string): string {
  return join(stateDir, "agent.sock");
}
