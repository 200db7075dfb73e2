import { addressBits } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import * as shape from "../../shared/shape.ts";
import type { ListedElement } from "./firewall.ts";
import { parseSetName, tableName } from "./nftables-script.ts";
import { firstLine, type RunCommand } from "./run-command.ts";

const Value = shape.union([
  shape.string(),
  shape.object({ concat: shape.tuple([shape.string(), shape.string(), shape.number()]) }),
]);
const Member = shape.union([
  shape.object({ elem: shape.object({ val: Value, expires: shape.optional(shape.number()) }) }),
  Value,
]);
const Listing = shape.object({
  nftables: shape.array(
    shape.object({
      set: shape.optional(shape.object({ name: shape.string(), elem: shape.optional(shape.array(Member)) })),
    }),
  ),
});

/** Every ban the kernel holds. Costs a CPU second per 100 000: for audits and tests only. */
export async function listElements(run: RunCommand, nft: string): Promise<readonly ListedElement[]> {
  const result = await run([nft, "-j", "list", "table", ...tableName.split(" ")]);
  if (result.code !== 0) throw new Fleet2banError("unavailable", `nftables: cannot list: ${firstLine(result)}`);
  const listed = new Map<string, ListedElement>();
  for (const { set } of Listing.parse(JSON.parse(result.stdout)).nftables) {
    const place = set === undefined ? undefined : parseSetName(set.name);
    if (set === undefined || place === undefined) continue;
    for (const member of set.elem ?? []) {
      const entry = typeof member === "object" && "elem" in member ? member.elem : { val: member, expires: undefined };
      const [address, port] =
        typeof entry.val === "string" ? [entry.val, null] : [entry.val.concat[0], entry.val.concat[2]];
      const net = place.prefix === addressBits[place.family] ? address : `${address}/${place.prefix}`;
      // A port is there twice, for TCP and for UDP.
      const expiresInMs = entry.expires === undefined ? null : entry.expires * 1000;
      listed.set(`${net} ${port}`, { net, port, expiresInMs });
    }
  }
  return [...listed.values()];
}
