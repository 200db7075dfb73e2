/**
 * Ban actions that come with fail2ban and do nothing but stop an address in a firewall, by the start of their names;
 * operators' variants (`iptables-multiport-docker`) are named after them. Ours do the same faster and survive a reboot.
 */
const families =
  /^(?:iptables|nftables|ipset|ufw|firewallcmd|pf|npf|shorewall|shorewall6|ipfw|bsd-ipfw|osx-ipfw|osx-afctl|ipfilter|apf|route|symbiosis-blacklist|fleet2ban)(?:$|-)/;

/** These have no ports: they stop the address altogether. */
const hostWide =
  /^(?:ufw|npf|shorewall|shorewall6|osx-afctl|ipfilter|apf|route|symbiosis-blacklist|iptables-xt_recent)(?:$|-)|-allports$/;

export function isFirewallAction(name: string): boolean {
  return families.test(name);
}

/** Whether this action, with these options, stops every port whatever `port` says. */
export function hostWideBan(name: string, options: ReadonlyMap<string, string>): boolean {
  if (hostWide.test(name) || options.get("type") === "allports") return true;
  // pf and firewalld choose by a piece of their rule: `actiontype = <allports>`.
  const actionType = options.get("actiontype");
  return actionType !== undefined && (actionType === "" || actionType === options.get("allports"));
}

/** What a `blocktype` of any firewall asks for; null when it says neither. */
export function verdictOf(blockType: string | undefined): "drop" | "reject" | null {
  if (blockType === undefined) return null;
  if (/\b(?:reject|unreach\w*|prohibit|return)\b/i.test(blockType)) return "reject";
  return /\b(?:drop|deny|blackhole)\b/i.test(blockType) ? "drop" : null;
}
