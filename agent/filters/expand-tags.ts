/**
 * fail2ban's tags inside regexes (`<HOST>`, `<F-USER>…</F-USER>`) become Python groups. Semantics of fail2ban 1.0;
 * the expressions are our own.
 */

/** Four runs of one to three digits. The value is checked later: what is no address stays a text id, as in fail2ban. */
const ipv4 = "(?:\\d{1,3}\\.){3}\\d{1,3}";
/** One to seven "hex digits and one or two colons" or "::", then hex digits or nothing after a colon. */
const ipv6 = "(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):)";
/** IPv4 may be written as mapped IPv6; old daemons also write `::ffffff:`. */
const ip4Group = `(?:::f{4,6}:)?(?P<ip4>${ipv4})`;
const ip6Group = `(?P<ip6>${ipv6})`;
const dnsGroup = "(?P<dns>[\\w\\-.^_]*\\w)";
const cidrGroup = "(?P<cidr>\\d+)";
const address = `\\[?(?:${ip4Group}|${ip6Group})\\]?`;
const host = `(?:${address}|${dnsGroup})`;
const subnet = `\\[?(?:${ip4Group}|${ip6Group})(?:/${cidrGroup})?\\]?`;

const fixedTags: Readonly<Record<string, string>> = {
  IP4: ip4Group,
  "F-IP4/": ip4Group,
  IP6: ip6Group,
  "F-IP6/": ip6Group,
  ADDR: address,
  "F-ADDR/": address,
  DNS: dnsGroup,
  "F-DNS/": dnsGroup,
  CIDR: cidrGroup,
  "F-CIDR/": cidrGroup,
  SUBNET: subnet,
  "F-SUBNET/": subnet,
  "F-ID/": "(?P<fid>\\S+)",
  "F-PORT/": "(?P<fport>\\w+)",
};

const groupNames: Readonly<Record<string, string>> = { id: "fid", port: "fport" };

/** The group a tag's name stands for: `USER` → `user`, `ID` → `fid`. */
export function groupNameOf(tagName: string): string {
  const name = tagName.toLowerCase();
  return groupNames[name] ?? name;
}

/**
 * Replaces the tags of one regex. Unknown tags and closing tags without their opener stay as they are, so Python's own
 * `(?P<name>…)` survives.
 *
 * @param names  whether `<HOST>` may match a host name (false for `usedns = no`)
 */
export function expandTags(regex: string, names: boolean): string {
  const opened = new Set<string>();
  let skipped = 0;
  const expanded = regex.replace(/<(\/?[\w-]+\/?)>/g, (tag: string, name: string) => {
    if (name === "HOST") return names ? host : address;
    if (name === "SKIPLINES") {
      skipped += 1;
      return `\\n(?P<skiplines${skipped - 1}>(?:(?:.*\\n)*?))`;
    }
    const fixed = Object.hasOwn(fixedTags, name) ? fixedTags[name] : undefined;
    if (fixed !== undefined) return fixed;
    const custom = /^(\/?)F-([A-Z0-9_-]+)$/.exec(name);
    const custName = custom?.[2];
    if (custName === undefined) return tag;
    if (custom?.[1] === "/") return opened.has(custName) ? ")" : tag;
    opened.add(custName);
    return `(?P<${groupNameOf(custName)}>`;
  });
  return scopeInnerFlags(expanded);
}

/** Old filters write `((?i)abc)`, which Python no longer takes; fail2ban and we read `(?i:abc)`. */
function scopeInnerFlags(regex: string): string {
  return regex.replace(/(?<!\\)\((?:\?:)?(\(\?[a-z]+)\)/g, "$1:");
}
