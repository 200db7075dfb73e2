import { formatNet, parseNet } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import type { Enforcer } from "../firewall/enforcer.ts";
import type { JailEffects } from "../watch/jail-effects.ts";
import type { WatchedJail } from "../watch/watched-jail.ts";
import type { ControlRequest } from "./control-socket.ts";

export type ControlParts = Readonly<{
  jails: readonly WatchedJail[];
  effects: JailEffects;
  enforcer: Enforcer;
  status: () => unknown;
  now: () => number;
}>;

/** Carries out what was typed on this host. */
export async function answerControl(request: ControlRequest, parts: ControlParts): Promise<unknown> {
  if (request.verb === "status") {
    await parts.enforcer.readCounters();
    return parts.status();
  }
  if (request.verb === "unban") return await unban(request.what, parts);
  const watched = parts.jails.find(({ jail }) => jail.name === request.jail);
  if (watched === undefined) {
    const names = parts.jails.map(({ jail }) => jail.name).join(", ");
    throw new Fleet2banError("not_found", `there is no jail ${request.jail} here; the jails are ${names || "none"}`);
  }
  const nowMs = parts.now();
  const { jail } = watched;
  const decisions = request.verb === "ban" ? jail.ban(request.what, nowMs) : jail.attempt(request.what, [], nowMs);
  for (const { kind } of decisions) if (kind === "counted") parts.effects.counted(watched);
  await parts.effects.carryOut(
    decisions.map((decision) => ({ watched, decision })),
    nowMs,
  );
  return { decisions: decisions.map(({ kind }) => kind) };
}

async function unban(what: string | null, { jails, effects, enforcer, now }: ControlParts): Promise<unknown> {
  const net = what === null ? null : parseNet(what);
  if (net === undefined) throw new Fleet2banError("invalid", `"${what}" is not an address or network`);
  const ownBans = await effects.lift(jails, net === null ? null : formatNet(net), "admin", now());
  const orderedBans = await enforcer.liftOrdered(net);
  if (what !== null && ownBans + orderedBans === 0) throw new Fleet2banError("not_found", `${what} is not banned here`);
  return { ownBans, orderedBans };
}
