import { appendFileSync } from "node:fs";
import { contains, formatNet, type Net, parseNet } from "../../shared/address.ts";
import { messageOf } from "../../shared/errors.ts";
import type { LocalBan } from "../../shared/failure-batch.ts";
import type { UnbanReason } from "../../shared/order.ts";
import type { JailActions } from "../actions/jail-actions.ts";
import type { Enforcer } from "../firewall/enforcer.ts";
import type { OwnedBan } from "../firewall/wanted-set.ts";
import { formatFail2banLine, type LogEvent } from "../jails/fail2ban-log.ts";
import type { BanDecision, JailDecision } from "../jails/jail.ts";
import type { Logger } from "../logger.ts";
import type { BanStore } from "../store/bans.ts";
import type { Decided } from "./judgement.ts";
import type { WatchedJail } from "./watched-jail.ts";

export type EffectParts = Readonly<{
  enforcer: Enforcer;
  store: BanStore;
  /** What jails do beyond the firewall. */
  actions: JailActions;
  log: Logger;
  /** Path of the fail2ban.log-shaped log, if one is wanted. */
  fail2banLog: string | undefined;
}>;

/** Names a jail's ban among all owners' bans of this host. */
export const jailBanId = (jail: string, id: string) => `jail:${jail}:${id}`;

/**
 * Carries out what jails decided: the firewall first, at once; then the store, the log lines, and the report for the
 * coordinator. One call per chunk of log, so that a burst is one transaction here and there.
 */
export class JailEffects {
  readonly #parts: EffectParts;

  constructor(parts: EffectParts) {
    this.#parts = parts;
  }

  /** A failure was counted: mostly all it leads to. @returns whether `carryOut` has to hear of it, too */
  counted({ jail }: WatchedJail): boolean {
    this.#parts.actions.counted(jail.name);
    return this.#parts.fail2banLog !== undefined;
  }

  /** @returns the new bans, for the coordinator to know of */
  async carryOut(decided: readonly Decided[], nowMs: number): Promise<LocalBan[]> {
    const owned: OwnedBan[] = [];
    const fresh: { watched: WatchedJail; decision: BanDecision }[] = [];
    const extended: { watched: WatchedJail; decision: { id: string; untilMs: number | null } }[] = [];
    const givenUp: string[] = [];
    for (const { watched, decision } of decided) {
      const { jail } = watched;
      if (decision.kind === "ban") {
        owned.push(...ownedBan(watched, decision.id, decision.net, decision.untilMs));
        if (!decision.restored) fresh.push({ watched, decision });
      } else if (decision.kind === "already-banned" && decision.extended) {
        owned.push(...ownedBan(watched, decision.id, jail.banOf(decision.id)?.net ?? null, decision.untilMs));
        extended.push({ watched, decision });
      } else if (decision.kind === "given-up") givenUp.push(jailBanId(jail.name, decision.ban.id));
    }
    const { enforcer, store } = this.#parts;
    const inForce = Promise.all([enforcer.ban(owned), givenUp.length > 0 ? enforcer.unban(givenUp) : undefined]);
    if (fresh.length > 0) store.record(fresh.map(({ watched, decision }) => storedBan(watched, decision)));
    for (const { watched, decision } of extended) store.prolong(watched.jail.name, decision.id, decision.untilMs);
    for (const { watched, decision } of decided) this.#act(watched, decision);
    this.#tell(decided, nowMs);
    await inForce;
    return fresh.flatMap(({ watched, decision }) => localBan(watched.jail.name, decision));
  }

  /** Lifts what the host's own jails ban inside `net` (null = everything). @returns how many */
  async lift(jails: readonly WatchedJail[], net: string | null, reason: UnbanReason, nowMs: number): Promise<number> {
    const outer = net === null ? null : parseNet(net);
    if (outer === undefined) return 0;
    const ids: string[] = [];
    for (const { jail } of jails) {
      for (const ban of [...jail.bans()]) {
        if (outer !== null && (ban.net === null || !isWithin(ban.net, outer))) continue;
        jail.unban(ban.id);
        this.#parts.store.lift(jail.name, ban.id);
        // As in fail2ban, a ban lifted by hand is no earlier ban of the next one.
        if (reason !== "expired") this.#parts.store.forget(jail.name, ban.id);
        this.#parts.actions.unban(jail.name, ban.id);
        ids.push(jailBanId(jail.name, ban.id));
        this.#write([{ kind: "unban", jail: jail.name, id: ban.id }], nowMs);
      }
    }
    if (ids.length > 0) await this.#parts.enforcer.unban(ids);
    return ids.length;
  }

  /** Bans that are over by themselves: the kernel has ended them already. */
  ended(jail: string, ids: readonly string[], nowMs: number): void {
    for (const id of ids) {
      this.#parts.store.lift(jail, id);
      this.#parts.actions.unban(jail, id);
    }
    this.#write(
      ids.map((id) => ({ kind: "unban", jail, id })),
      nowMs,
    );
  }

  #act({ jail }: WatchedJail, decision: JailDecision): void {
    const { actions } = this.#parts;
    if (decision.kind === "ban") actions.ban(jail.name, decision);
    else if (decision.kind === "given-up") actions.unban(jail.name, decision.ban.id);
    else if (decision.kind === "already-banned") {
      const { id, extended, untilMs } = decision;
      const startMs = jail.banOf(id)?.startMs ?? decision.atMs;
      if (extended) actions.prolong(jail.name, id, untilMs === null ? null : untilMs - startMs);
      else actions.failedAgain(jail.name, id);
    }
  }

  #tell(decided: readonly Decided[], nowMs: number): void {
    const isLogged = this.#parts.fail2banLog !== undefined;
    const events: LogEvent[] = [];
    for (const { watched, decision } of decided) {
      const jail = watched.jail.name;
      if (decision.kind === "ban") {
        const { id, net, atMs, untilMs, failures, restored } = decision;
        const fields = { jail, id, net, atMs, untilMs, failures, event: restored ? "restored" : "banned" };
        this.#parts.log.info(fields, restored ? "restored a ban" : "banned after too many failures");
      } else if (decision.kind === "ignored") {
        this.#parts.log.debug({ jail, id: decision.id, by: decision.by, event: "ignored" }, "ignored a failure");
      }
      if (isLogged) events.push(...eventsOf(jail, decision));
    }
    this.#write(events, nowMs);
  }

  #write(events: readonly LogEvent[], nowMs: number): void {
    const { fail2banLog, log } = this.#parts;
    if (fail2banLog === undefined || events.length === 0) return;
    try {
      appendFileSync(
        fail2banLog,
        events.map((event) => `${formatFail2banLine(event, nowMs, process.pid)}\n`).join(""),
        { mode: 0o640 },
      );
    } catch (error) {
      log.warn(
        { path: fail2banLog, problem: messageOf(error), event: "fail2ban_log_failed" },
        "could not write fail2banLog",
      );
    }
  }
}

/** The ban as the firewall's owner knows it; nothing when it names no network or the jail stops no packets. */
export function ownedBan(watched: WatchedJail, id: string, net: string | null, untilMs: number | null): OwnedBan[] {
  if (net === null || watched.ports === undefined) return [];
  return [{ id: jailBanId(watched.jail.name, id), tier: "host", net, ports: watched.ports, untilMs }];
}

function storedBan({ jail, ports }: WatchedJail, { id, net, atMs, untilMs, earlierBans, lines }: BanDecision) {
  // Of a jail that stops no packets: no port at all, or a restart would ban every one.
  const stopped = ports === undefined ? [] : ports;
  return { jail: jail.name, id, net: net ?? "", ports: stopped, startMs: atMs, untilMs, earlierBans, lines };
}

function localBan(jail: string, { net, atMs, untilMs }: BanDecision): LocalBan[] {
  const parsed = net === null ? undefined : parseNet(net);
  return parsed === undefined ? [] : [{ atMs, net: formatNet(parsed), jail, untilMs }];
}

function isWithin(text: string, outer: Net): boolean {
  const inner = parseNet(text);
  return inner !== undefined && contains(outer, inner);
}

function eventsOf(jail: string, decision: JailDecision): LogEvent[] {
  switch (decision.kind) {
    case "counted":
      return [{ kind: "found", jail, id: decision.id, atMs: decision.atMs }];
    case "counted-bad": {
      const { id, atMs, earlierBans, weight, bans } = decision;
      return [{ kind: "found-bad", jail, id, atMs, earlierBans, weight, bans }];
    }
    case "ignored":
      return [{ kind: "ignored", jail, id: decision.id, by: decision.by }];
    case "already-banned":
      return [{ kind: "already-banned", jail, id: decision.id }];
    case "ban": {
      const { id, earlierBans, banTimeMs, untilMs } = decision;
      const made: LogEvent = { kind: decision.restored ? "restore" : "ban", jail, id };
      const increased: LogEvent = { kind: "increase", jail, id, bans: earlierBans + 1, banTimeMs, untilMs };
      return earlierBans > 0 && !decision.restored ? [made, increased] : [made];
    }
    default:
      return [];
  }
}
