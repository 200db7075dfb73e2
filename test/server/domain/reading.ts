import type { Policy } from "../../../server/domain/policy.ts";
import {
  contains,
  formatNet,
  type Net,
  overlaps,
  parseAddress,
  parseNet,
  subjectOf,
  widen,
} from "../../../shared/address.ts";
import type { Event } from "./story.ts";

/** What `replay` prints, without the words of `why`. */
export type Line = Readonly<Record<string, unknown>>;

type Evidence = Readonly<{ hosts: readonly string[]; tenants: readonly string[]; failures: number }>;
type Ban = {
  net: Net;
  scope: string;
  level: number | null;
  start: number;
  until: number | null;
  end: number | null;
  mistake: boolean;
  lifted: string | null;
  ports: readonly number[] | null;
  reason: string;
  evidence: Evidence;
  vote: boolean;
};
type Row = Readonly<{
  tenant: string;
  host: string;
  jail: string;
  at: number;
  count: number;
  net: Net;
  forFleet: boolean;
}>;
type Tenant = { trust: string; createdAt: number };

const nobody: Evidence = { hosts: [], tenants: [], failures: 0 };
const s = (ms: number): number => ms / 1000;
const same = (one: Net, other: Net): boolean => formatNet(one) === formatNet(other);

/**
 * The design's rules (section 9) read as literally and done as slowly as possible: every list is searched from end to
 * end for every question. For events in the order of time, at whole seconds, and hosts within their limits.
 */
export class Reading {
  readonly lines: Line[] = [];
  readonly #policy: Policy;
  readonly #bans: Ban[] = [];
  readonly #tenants = new Map<string, Tenant>();
  readonly #allows: { net: Net; tenant: string | null }[] = [];
  readonly #nevers: Net[] = [];
  #rows: Row[] = [];
  #now = 0;

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  take(event: Event): void {
    this.#now = Number(event.at);
    const due = this.#standing().filter((ban) => ban.until !== null && ban.until <= this.#now);
    // Stable: of those that end together the oldest comes first.
    for (const ban of due.toSorted((one, other) => Number(one.until) - Number(other.until)))
      this.#end(ban, Number(ban.until), "expired");
    const tenant = typeof event.tenant === "string" ? event.tenant : null;
    const net = parseNet(String(event.net));
    if (event.kind === "failure") this.#failure(event, tenant ?? "default");
    if (event.kind === "tenant") {
      this.#tenants.set(tenant ?? "default", {
        trust: String(event.trust),
        createdAt: Number(event.createdAt ?? -Infinity),
      });
    }
    if (net === undefined) return;
    if (event.kind === "allow") {
      this.#allows.push({ net, tenant });
      const scope = tenant === null ? "fleet" : `tenant:${tenant}`;
      for (const ban of this.#standing())
        if (ban.scope === scope && contains(net, ban.net)) this.#end(ban, this.#now, "allowed");
    }
    if (event.kind === "never") {
      this.#nevers.push(net);
      for (const ban of this.#standing()) if (overlaps(net, ban.net)) this.#end(ban, this.#now, "allowed");
    }
    if (event.kind === "ban") this.#byHand(net, event);
    if (event.kind === "unban") this.#unban(net, String(event.scope), String(event.reason));
  }

  #unban(net: Net, scope: string, reason: string): void {
    const meant = this.#bans.filter((ban) => same(ban.net, net) && ban.scope === scope);
    const standing = meant.filter((ban) => ban.end === null);
    for (const ban of standing) this.#end(ban, this.#now, reason);
    // None stands: it is about those that have ended.
    if (standing.length > 0 || reason !== "false-positive") return;
    for (const ban of meant) if (ban.level !== null) Object.assign(ban, { mistake: true, lifted: reason });
  }

  #standing = (): Ban[] => this.#bans.filter((ban) => ban.end === null);
  #tenant = (name: string): Tenant => this.#tenants.get(name) ?? { trust: "full", createdAt: -Infinity };
  #isAllowed = (net: Net, tenant: string | null): boolean =>
    this.#allows.some((allow) => allow.tenant === tenant && contains(allow.net, net));
  #isNever = (net: Net): boolean => [...this.#nevers, ...this.#policy.reserved].some((never) => overlaps(never, net));

  #end(ban: Ban, at: number, reason: string): void {
    Object.assign(ban, { end: at, mistake: reason === "false-positive", lifted: reason });
    this.lines.push({ at, kind: "unban", net: formatNet(ban.net), scope: ban.scope, reason });
  }

  #failure(event: Event, tenant: string): void {
    const address = parseAddress(String(event.ip));
    if (address === undefined || this.#isNever(address)) return;
    const { trust } = this.#tenant(tenant);
    if (this.#isAllowed(address, tenant)) return;
    const forFleet = !this.#isAllowed(address, null);
    if (!forFleet && trust === "full") return;
    const net = subjectOf(address, this.#policy.ipv6Prefix);
    const covered = this.#bans.filter(
      (ban) => contains(ban.net, address) && (ban.scope === "fleet" || ban.scope === `tenant:${tenant}`),
    );
    const answered = Math.max(...covered.map((ban) => ban.end ?? ban.until ?? Infinity), -Infinity);
    if (this.#now <= answered) return;
    const [host, jail, count] = [`${tenant}/${event.host}`, String(event.jail), Number(event.count ?? 1)];
    this.#rows.push({ tenant, host, jail, at: this.#now, count, net, forFleet });
    const mine = this.#rows.filter((row) => row.tenant === tenant && same(row.net, net) && row.at > answered);
    const incident = this.#incident(mine, jail);
    if (incident === undefined) return;
    this.#rows = this.#rows.filter((row) => row.tenant !== tenant || !same(row.net, net));
    const scope = trust === "full" ? "fleet" : `tenant:${tenant}`;
    const ban = this.#propose({ net, scope, ...incident, vote: trust === "vote" && incident.forFleet });
    if (ban?.vote === true) this.#countVotes(net);
  }

  #incident(rows: readonly Row[], jail: string) {
    const { defaultJail, jails, spread } = this.#policy;
    const { findtimeMs, maxretry, ports } = jails.get(jail) ?? defaultJail;
    const inJail = rows.filter((row) => row.jail === jail && this.#now - row.at <= s(findtimeMs));
    const sum = (some: readonly Row[]): number => some.reduce((total, row) => total + row.count, 0);
    const hosts = (some: readonly Row[]): string[] => [...new Set(some.map((row) => row.host))];
    const fleetOnly = (some: readonly Row[]): Row[] => some.filter((row) => row.forFleet);
    const evidence = (some: readonly Row[]): Evidence => ({
      hosts: hosts(some),
      tenants: [some[0]?.tenant ?? ""],
      failures: sum(some),
    });
    if (sum(inJail) >= maxretry) {
      return {
        reason: `jail ${jail}`,
        ports,
        evidence: evidence(inJail),
        forFleet: sum(fleetOnly(inJail)) >= maxretry,
      };
    }
    const wide = rows.filter((row) => spread !== null && this.#now - row.at <= s(spread.findtimeMs));
    if (spread === null || hosts(wide).length < spread.hosts) return undefined;
    return {
      reason: "spread",
      ports: null,
      evidence: evidence(wide),
      forFleet: hosts(fleetOnly(wide)).length >= spread.hosts,
    };
  }

  #propose(asked: Pick<Ban, "net" | "scope" | "reason" | "ports" | "evidence" | "vote">): Ban | undefined {
    const { net, scope, reason } = asked;
    const { ladder, networks, limits } = this.#policy;
    const stop = (kind: string): undefined => {
      this.lines.push({ at: this.#now, kind, net: formatNet(net), scope });
    };
    if (this.#isNever(net) || this.#isAllowed(net, scope === "fleet" ? null : scope.slice("tenant:".length)))
      return stop("refused");
    const ofMinute = this.#bans.filter(
      (ban) => ban.scope === "fleet" && ban.level !== null && this.#now - ban.start <= 60,
    );
    if (scope === "fleet" && ofMinute.length >= limits.fleetBansPerMinute) return stop("held");
    const last = reason === "network" ? (networks[net.family]?.maxLevel ?? 0) : ladder.length - 1;
    const level = Math.min(this.#level(net, scope), last);
    const until = this.#now + s(ladder[level]?.banTimeMs ?? 0);
    const ban = this.#start({ ...asked, level, until, ports: level === 0 ? asked.ports : null });
    this.#proposeNetwork(ban);
    return ban;
  }

  #level(net: Net, scope: string): number {
    const { ladder } = this.#policy;
    const history = this.#bans.filter(
      (ban) => same(ban.net, net) && ban.scope === scope && ban.level !== null && !ban.mistake,
    );
    const number = (level: number, withinMs: number): number =>
      history.filter((ban) => Number(ban.level) >= level && this.#now - ban.start <= s(withinMs)).length;
    const held = ladder.flatMap((rung, level) => (level >= 1 && number(level, rung.withinMs) > 0 ? [level] : []));
    const base = Math.max(0, ...held);
    const next = ladder[base + 1];
    return next !== undefined && number(base, next.withinMs) + 1 >= next.after ? base + 1 : base;
  }

  #proposeNetwork({ net, scope, reason }: Ban): void {
    const rule = this.#policy.networks[net.family];
    if (rule === null || reason === "network") return;
    const network = widen(net, rule.prefix);
    const recent = this.#bans.filter(
      (ban) =>
        ban.level !== null &&
        ban.reason !== "network" &&
        !ban.mistake &&
        ban.scope === scope &&
        contains(network, ban.net) &&
        this.#now - ban.start <= s(rule.withinMs),
    );
    const latest = new Map(recent.map((ban) => [formatNet(ban.net), ban]));
    if (latest.size < rule.subjects) return;
    this.#propose({
      net: network,
      scope,
      reason: "network",
      ports: null,
      vote: false,
      evidence: sumOf([...latest.values()]),
    });
  }

  #countVotes(net: Net): void {
    const { tenants, withinMs, minTenantAgeMs } = this.#policy.fleet;
    const ofNet = this.#bans.filter((ban) => same(ban.net, net));
    const usedUp = ofNet.findLastIndex((ban) => ban.reason === "votes");
    const votes = new Map<string, Ban>();
    for (const ban of ofNet.slice(usedUp + 1)) {
      const name = ban.scope.slice("tenant:".length);
      const { trust, createdAt } = this.#tenant(name);
      const isGood = ban.vote && ban.lifted !== "false-positive" && ban.lifted !== "allowed";
      const isOld = this.#now - createdAt >= s(minTenantAgeMs);
      if (isGood && isOld && trust === "vote" && this.#now - ban.start <= s(withinMs)) votes.set(name, ban);
    }
    if (votes.size < tenants) return;
    const bans = [...votes.values()];
    const ports = bans.some((ban) => ban.ports === null) ? null : [...new Set(bans.flatMap((ban) => ban.ports ?? []))];
    this.#propose({ net, scope: "fleet", reason: "votes", ports, vote: false, evidence: sumOf(bans) });
  }

  #byHand(net: Net, event: Event): void {
    const scope = String(event.scope);
    const tooWide = net.prefix < this.#policy.limits.widestBan[net.family];
    if (
      tooWide ||
      this.#isNever(net) ||
      this.#isAllowed(net, scope === "fleet" ? null : scope.slice("tenant:".length))
    ) {
      this.lines.push({ at: this.#now, kind: "refused", net: formatNet(net), scope });
      return;
    }
    const until = event.bantime === null ? null : this.#now + Number(event.bantime);
    this.#start({ net, scope, level: null, until, ports: null, reason: "admin", evidence: nobody, vote: false });
  }

  #start(asked: Omit<Ban, "start" | "end" | "mistake" | "lifted">): Ban {
    const ban: Ban = { ...asked, start: this.#now, end: null, mistake: false, lifted: null };
    this.#bans.push(ban);
    const { hosts, tenants, failures } = ban.evidence;
    this.lines.push({
      ...{ at: this.#now, kind: "ban", net: formatNet(ban.net), scope: ban.scope, level: ban.level, until: ban.until },
      ...{ ports: ban.ports ?? "all", reason: ban.reason },
      evidence: { hosts: hosts.length, tenants: tenants.length, failures },
    });
    return ban;
  }
}

function sumOf(bans: readonly Ban[]): Evidence {
  return {
    hosts: [...new Set(bans.flatMap((ban) => ban.evidence.hosts))],
    tenants: [...new Set(bans.flatMap((ban) => ban.evidence.tenants))],
    failures: bans.reduce((sum, ban) => sum + ban.evidence.failures, 0),
  };
}
