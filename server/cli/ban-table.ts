import type { z } from "zod";
import type { Ban, Receipt } from "../http/schemas.ts";
import { plain, remaining } from "./table.ts";

export const banHead = ["ID", "NET", "SCOPE", "LEVEL", "PORTS", "LEFT", "HOSTS", "FAILURES", "REASON"];
type BanRow = z.infer<typeof Ban>;

export function banCells(ban: BanRow, nowMs: number): string[] {
  return [
    String(ban.id),
    shortNet(ban.net),
    ban.scope,
    ban.level === null ? "-" : String(ban.level),
    ban.ports === null ? "all" : ban.ports.join(","),
    ban.ended === null ? remaining(ban.until, nowMs) : `ended (${ban.endReason})`,
    String(ban.evidence.hosts),
    String(ban.evidence.failures),
    ban.reason,
  ];
}

/** As bans are counted by level. */
export function levelName(level: string): string {
  if (level === "feed") return "feeds";
  return level === "manual" ? "by hand" : `level ${level}`;
}

export function shortNet(net: string): string {
  return net.replace(/^([\d.]+)\/32$|^([0-9a-f:]+)\/128$/, "$1$2");
}

export function receiptText(receipt: z.infer<typeof Receipt>): string {
  const where = `removed on ${receipt.applied}/${receipt.total} hosts`;
  const waiting = receipt.waiting.length === 0 ? "" : `, queued for ${receipt.waiting.map(plain).join(", ")}`;
  return `lifted ${bansOf(receipt)} on ${shortNet(receipt.net)}: ${where}${waiting}\n`;
}

export function dryReceiptText(receipt: z.infer<typeof Receipt>): string {
  const { net, applied, total } = receipt;
  return `would lift ${bansOf(receipt)} on ${shortNet(net)}, and remove it from ${total - applied}/${total} hosts\n`;
}

function bansOf({ lifted }: z.infer<typeof Receipt>): string {
  return lifted.length === 0 ? "no ban of the coordinator" : `ban ${lifted.join(", ")}`;
}
