import { ipsetBackend } from "../../../agent/firewall/ipset.ts";
import { testBackend } from "./backend-contract.ts";

testBackend({
  name: "ipset",
  programs: ["ipset", "iptables", "ip6tables", "nft"],
  open: async (run) => ipsetBackend(run, { ipset: "ipset", iptables: "iptables", ip6tables: "ip6tables" }, Date.now),
  foreignFlush: [
    ["iptables", "-t", "raw", "-F", "PREROUTING"],
    ["iptables", "-t", "raw", "-F", "fleet2ban"],
    ["nft", "flush", "ruleset"],
  ],
  smallSet: [["ipset", "create", "f2b4", "hash:net", "family", "inet", "maxelem", "3", "timeout", "0"]],
});
