import type { RunCommand } from "./run-command.ts";

/** One call per net; a burst's oldest connections are cut by their own retransmissions meeting the ban. */
const cutsMax = 200;

/**
 * Makes the kernel forget connections of these nets, so that their next packet meets the ban. Needed only behind
 * firewalls that accept whatever is established. Failing is no mistake: most nets have no connection.
 *
 * @param conntrack  path of the program; undefined when it is not installed
 */
export async function cutConnections(
  run: RunCommand,
  conntrack: string | undefined,
  nets: readonly string[],
): Promise<void> {
  if (conntrack === undefined) return;
  for (const net of nets.slice(0, cutsMax)) {
    const family = net.includes(":") ? "ipv6" : "ipv4";
    await run([conntrack, "-D", "-f", family, "-s", net]);
  }
}
