import { firewalldBackend } from "./firewalld.ts";
import { ipsetBackend } from "./ipset.ts";
import { nftablesBackend } from "./nftables.ts";
import { tableName } from "./nftables-script.ts";
import { commandRunner, findProgram, type RunCommand } from "./run-command.ts";
import { ufwBackend } from "./ufw.ts";

export type TakeOutOptions = Readonly<{
  now: () => number;
  /** The firewall that is in use stays as it is. */
  except?: string;
  run?: RunCommand;
  find?: (program: string) => string | undefined;
}>;

/**
 * Takes everything of ours out of every firewall of this host, and nothing else. All four are looked at: the settings
 * may have named another one when the bans were made.
 *
 * @returns the firewalls in which there was something
 * @throws Fleet2banError `unavailable` when something of ours is there and cannot be taken out
 */
export async function takeOut(options: TakeOutOptions): Promise<string[]> {
  const { now, except, run = commandRunner(), find = findProgram } = options;
  const says = async (command: readonly string[], ours: RegExp) => ours.test((await run(command)).stdout);
  const programs = ["nft", "ipset", "iptables", "ip6tables", "firewall-cmd", "ufw"];
  const [nft, ipset, iptables, ip6tables, firewalld, ufw] = programs.map((program) => find(program));
  const removed: string[] = [];
  if (
    except !== "nftables" &&
    nft !== undefined &&
    (await says([nft, "list", "tables"], new RegExp(`^table ${tableName}$`, "m")))
  ) {
    await nftablesBackend(run, nft, now).teardown();
    removed.push("nftables");
  }
  if (except !== "ipset" && ipset !== undefined && iptables !== undefined && ip6tables !== undefined) {
    if (await says([ipset, "list", "-n"], /^f2b[46]/m)) {
      await ipsetBackend(run, { ipset, iptables, ip6tables }, now).teardown();
      removed.push("ipset");
    }
  }
  if (
    except !== "firewalld" &&
    firewalld !== undefined &&
    (await says([firewalld, "--permanent", "--get-ipsets"], /\bfleet2ban[46]\b/))
  ) {
    await firewalldBackend(run, firewalld, now, undefined).teardown();
    removed.push("firewalld");
  }
  if (except !== "ufw" && ufw !== undefined && (await says([ufw, "show", "added"], / comment 'fleet2ban'$/m))) {
    await ufwBackend(run, ufw, now, undefined).teardown();
    removed.push("ufw");
  }
  return removed;
}
