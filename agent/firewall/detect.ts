import { Fleet2banError } from "../../shared/errors.ts";
import type { FirewallBackend } from "./firewall.ts";
import { firewalldBackend } from "./firewalld.ts";
import { ipsetBackend } from "./ipset.ts";
import { nftablesBackend } from "./nftables.ts";
import { baseSets, tableName, tableScript } from "./nftables-script.ts";
import { observingBackend } from "./observe.ts";
import { commandRunner, findProgram, firstLine, type RunCommand } from "./run-command.ts";
import { ufwBackend } from "./ufw.ts";

export const firewallChoices = ["auto", "nftables", "ipset", "firewalld", "ufw", "observe"] as const;
export type FirewallChoice = (typeof firewallChoices)[number];

export type Detected = Readonly<{
  backend: FirewallBackend;
  /** Why this one and not those before it, one sentence each. */
  reasons: readonly string[];
}>;

export type DetectOptions = Readonly<{
  now: () => number;
  /** Where the observing backend prints. */
  print: (text: string) => void;
  run?: RunCommand;
  find?: (program: string) => string | undefined;
}>;

type Attempt = Readonly<{ backend: FirewallBackend } | { problem: string }>;

/**
 * Chooses the firewall. `auto`: nftables, else ipset with iptables, else observing only, which is said on every
 * surface. ufw and firewalld are slow and only taken when named; nftables works beside both.
 *
 * @throws Fleet2banError `unavailable` when a firewall was named that does not work here
 */
export async function detectFirewall(choice: FirewallChoice, options: DetectOptions): Promise<Detected> {
  if (choice !== "auto") {
    const attempt = await attempts[choice](options);
    if ("backend" in attempt) return { backend: attempt.backend, reasons: [`${choice}: named in the configuration`] };
    throw new Fleet2banError("unavailable", `firewall: ${choice}: ${attempt.problem}; or set firewall: auto`);
  }
  const reasons: string[] = [];
  for (const name of ["nftables", "ipset"] as const) {
    const attempt = await attempts[name](options);
    if ("backend" in attempt) return { backend: attempt.backend, reasons: [...reasons, `${name}: works here`] };
    reasons.push(`${name}: ${attempt.problem}`);
  }
  reasons.push("observe: nothing else works, no packet will be stopped; install nftables");
  return { backend: observingBackend(options.print, options.now), reasons };
}

const attempts: Readonly<Record<Exclude<FirewallChoice, "auto">, (options: DetectOptions) => Promise<Attempt>>> = {
  nftables: async ({ now, run = commandRunner(), find = findProgram }) => {
    const nft = find("nft");
    if (nft === undefined) return { problem: "the program nft is not installed; apt-get install nftables" };
    // Checked under another name, because a table of ours made by another version need not fit.
    const script = tableScript({ verdict: "drop", allow: [] }, baseSets).replaceAll(tableName, `${tableName}_check`);
    const result = await run([nft, "-c", "-f", "-"], script);
    return result.code === 0 ? { backend: nftablesBackend(run, nft, now) } : { problem: explain(firstLine(result)) };
  },
  ipset: async ({ now, run = commandRunner(), find = findProgram }) => {
    const [ipset, iptables, ip6tables] = ["ipset", "iptables", "ip6tables"].map((name) => find(name));
    if (ipset === undefined || iptables === undefined || ip6tables === undefined) {
      return { problem: "ipset or iptables is not installed; apt-get install ipset iptables" };
    }
    for (const command of [
      [ipset, "list", "-n"],
      [iptables, "-w", "5", "-t", "raw", "-S"],
    ]) {
      const result = await run(command);
      if (result.code !== 0) return { problem: explain(firstLine(result)) };
    }
    return { backend: ipsetBackend(run, { ipset, iptables, ip6tables }, now) };
  },
  firewalld: async ({ now, run = commandRunner(), find = findProgram }) => {
    const program = find("firewall-cmd");
    if (program === undefined) return { problem: "the program firewall-cmd is not installed" };
    const result = await run([program, "--state"]);
    if (result.code !== 0) return { problem: `firewalld does not run (${firstLine(result)})` };
    return { backend: firewalldBackend(run, program, now, find("conntrack")) };
  },
  ufw: async ({ now, run = commandRunner(), find = findProgram }) => {
    const program = find("ufw");
    if (program === undefined) return { problem: "the program ufw is not installed" };
    const result = await run([program, "status"]);
    if (!/^Status: active/m.test(result.stdout)) return { problem: `ufw is not active (${firstLine(result)})` };
    return { backend: ufwBackend(run, program, now, find("conntrack")) };
  },
  observe: async ({ now, print }) => ({ backend: observingBackend(print, now) }),
};

function explain(problem: string): string {
  return /not permitted|must be root|denied/i.test(problem)
    ? `${problem}; run as root or give the service CAP_NET_ADMIN`
    : `${problem}; is the kernel module there?`;
}
