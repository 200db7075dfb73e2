import { minuteMs } from "../../shared/durations.ts";
import type { System } from "../bus/system.ts";
import type { Conduct } from "./conduct.ts";
import { Connections } from "./connections.ts";
import type { HostDirectory } from "./host-directory.ts";

/** After a cut, who comes back at all is back by then: agents wait 30 seconds at most before they try again. */
const awaitedMs = minuteMs;

/**
 * Follows who is connected, and what the server ends connections for.
 *
 * @returns `check`, to be called every minute: notes keys that two machines use, and who did not come back
 */
export function watchPresence(
  system: Pick<System, "onPresence" | "onCut">,
  { directory, conduct, now }: Readonly<{ directory: HostDirectory; conduct: Conduct; now: () => number }>,
): Readonly<{ check(): void }> {
  const connections = new Connections();
  let cutMs = now();
  system.onPresence((presence) => {
    const host = directory.hostOfKey(presence.publicKey);
    const connected = connections.take(presence, now());
    if (host === undefined) return;
    directory.setConnected(host.host, connected);
    if (/payload/i.test(presence.reason)) conduct.note(host.host, "oversized_payload");
  });
  system.onCut(() => {
    connections.forget();
    cutMs = now();
    directory.forgetConnections();
  });
  return {
    check() {
      if (now() - cutMs >= awaitedMs) directory.stopAwaiting();
      for (const publicKey of connections.cloned(now())) {
        const host = directory.hostOfKey(publicKey);
        if (host !== undefined) conduct.note(host.host, "cloned_key");
      }
    },
  };
}
