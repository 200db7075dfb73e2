import { nftablesBackend } from "../../../agent/firewall/nftables.ts";
import { testBackend } from "./backend-contract.ts";

testBackend({
  name: "nftables",
  programs: ["nft"],
  open: async (run) => nftablesBackend(run, "nft", Date.now),
  foreignFlush: [
    ["nft", "flush", "ruleset"],
    ["nft", "flush", "chain", "inet", "fleet2ban", "pre"],
    ["nft", "delete", "table", "inet", "fleet2ban"],
  ],
  ports: true,
});
