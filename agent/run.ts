import { hostname } from "node:os";
import { minuteMs, secondMs } from "../shared/durations.ts";
import { messageOf } from "../shared/errors.ts";
import type { Order, Scope } from "../shared/order.ts";
import { version } from "../shared/version.ts";
import { JailActions } from "./actions/jail-actions.ts";
import { carryOutOrders, type OrderTargets } from "./carry-out-orders.ts";
import type { AgentConfig } from "./config.ts";
import { answerControl } from "./control/answer.ts";
import { controlPath } from "./control/control-path.ts";
import { listenControl } from "./control/control-socket.ts";
import type { Enforcer } from "./firewall/enforcer.ts";
import { reachPlaces } from "./firewall/reach.ts";
import { CanaryCheck } from "./fleet/canary-check.ts";
import { loadCredentials } from "./fleet/credentials.ts";
import { type Fleet, openFleet } from "./fleet/fleet.ts";
import { Footprint, v8Engine } from "./footprint.ts";
import { openHostFirewall } from "./host-firewall.ts";
import type { Logger } from "./logger.ts";
import { monotonicMs } from "./monotonic.ts";
import type { Settings } from "./settings/jail-settings.ts";
import { type AgentStatus, statusOf } from "./status.ts";
import { openStore } from "./store/open-store.ts";
import { JailEffects } from "./watch/jail-effects.ts";
import { type LogWatch, watchLogs } from "./watch/log-watch.ts";
import { openJails, restoreBans } from "./watch/open-jails.ts";
import type { WatchedJail } from "./watch/watched-jail.ts";

export type Deps = Readonly<{ now: () => number; log: Logger }>;
export type Agent = AsyncDisposable & Readonly<{ status(): AgentStatus }>;

/** This host's own addresses change, and an admin's session begins and ends. */
const protectEveryMs = minuteMs;
/** A host that boots gets its addresses and gateway only now. */
const settlingMs = 2 * minuteMs;
const settlingEveryMs = 5 * secondMs;
const refreshTimeoutMs = 5 * secondMs;
const countersEveryMs = 30 * secondMs;
const canaryEveryMs = 10 * secondMs;
const purgeEveryMs = 10 * minuteMs;

/**
 * The agent. Opens in the order of dependence: the store, the firewall with every ban of the last run, then the logs
 * and the fleet, so that no ban lapses while the rest starts. It is closed in reverse, and the bans stay in force.
 */
export async function run(config: AgentConfig, settings: Settings, { now, log }: Deps): Promise<Agent> {
  await using opened = new AsyncDisposableStack();
  const store = opened.use(openStore(config.stateDir, log));
  const credentials = loadCredentials(config.credentials);
  const busUrls = credentials === undefined ? [] : (credentials.urls ?? [credentials.url]);
  let fleet: Fleet | undefined;
  const reach = async () => (await (fleet?.reached() ?? true)) && (await reachPlaces(config.probes));
  const mayBeCutOff = credentials !== undefined || config.probes.length > 0;
  const firewall = opened.use(await openHostFirewall(config, { now, log, busUrls, ...(mayBeCutOff ? { reach } : {}) }));
  const { enforcer } = firewall;

  const { jails, broken } = openJails(settings, store.bans, log);
  const actions = opened.use(openActions(jails, config, { now, log }));
  const effects = new JailEffects({ enforcer, store: store.bans, actions, log, fail2banLog: config.fail2banLog });
  let watch: LogWatch | undefined;
  const ofFleet = () => fleet?.problems() ?? [];
  const problems = () => [
    ...[...broken, ...actions.problems, ...firewall.problems()],
    ...[...(watch?.problems() ?? []), ...ofFleet()],
  ];
  const canary = new CanaryCheck({
    holds: (net) => enforcer.holds(net),
    lost: () => void enforcer.rewrite("the firewall does not stop the canary address any more"),
    changed: () => fleet?.report(),
  });
  const orders = oneByOne(log, { enforcer, effects, jails, now });
  // Its allows are collected before any ban, and everything goes to the firewall in one transaction.
  fleet =
    credentials &&
    opened.use(
      openFleet({
        credentials,
        credentialsFile: config.credentials,
        outboxStore: store.outbox,
        orderStore: store.orders,
        onOrders: orders.add,
        refuse: ({ net, level }) => enforcer.refusal(net, level === null),
        status: () => reported(enforcer, canary, problems(), fleet?.state().lostRows ?? 0),
        now,
        random: Math.random,
        log,
      }),
    );
  await orders.done();
  actions.start();
  await restoreBans(jails, store.bans, effects, now());
  await enforcer.open();
  const protectAgain = () =>
    firewall
      .protect(true)
      .catch((error: unknown) => log.error({ problem: messageOf(error) }, "could not read what to protect"));
  void protectAgain();
  void firewall.leaveOthers();
  // Nobody whose name is on an ignore list may be counted before his address is known.
  await refreshNames(jails, now());

  const footprint = new Footprint(v8Engine());
  watch = opened.use(
    watchLogs({
      onRead: (bytes) => footprint.reads(bytes),
      jails,
      effects,
      positions: store.positions,
      report: fleet === undefined ? null : fleet.add,
      evidence: config.evidence,
      now,
      log,
    }),
  );
  opened.use(repeat(secondMs, () => tick({ enforcer, effects, jails, now })));
  opened.use(repeat(canaryEveryMs, () => void canary.tick(fleet?.canary(), now())));
  opened.use(repeat(protectEveryMs, () => void protectAgain()));
  const settledMs = monotonicMs() + settlingMs;
  opened.use(repeat(settlingEveryMs, () => void (monotonicMs() < settledMs && protectAgain())));
  opened.use(repeat(protectEveryMs, () => void refreshNames(jails, now())));
  opened.use(repeat(countersEveryMs, () => void enforcer.readCounters()));
  opened.use(repeat(purgeEveryMs, () => store.purge(now())));
  opened.use(repeat(secondMs, () => footprint.tick()));
  const status = () => statusOf({ config, jails, actions, firewall, fleet, watch, problems: problems() });
  const parts = { jails, effects, enforcer, status, now };
  opened.use(await listenControl(controlPath(config.stateDir), (request) => answerControl(request, parts)));
  for (const warning of firewall.warnings) log.warn({ warning, event: "firewall_warning" }, "about this firewall");
  const names = jails.map(({ jail }) => jail.name);
  const fields = {
    jails: names,
    firewall: enforcer.name,
    reasons: firewall.reasons,
    host: credentials?.host ?? hostname(),
  };
  log.info({ ...fields, event: "started" }, "the agent protects this host");
  const closing = opened.move();
  return { status, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

function openActions(jails: readonly WatchedJail[], { actions: allowed }: AgentConfig, deps: Deps): JailActions {
  const actions = new JailActions({
    jails: jails.map(({ jail, settings }) => ({
      name: jail.name,
      actions: settings.actions,
      numbers: () => ({ banned: [...jail.bans()].length, found: jail.countedIds() }),
    })),
    allowed,
    ...deps,
  });
  for (const problem of actions.problems)
    deps.log.warn({ problem, event: "action_off" }, "an action does not run here");
  return actions;
}

/** Orders are carried out in the sequence in which they came, whatever each has to wait for. */
function oneByOne(log: Logger, targets: OrderTargets) {
  let last: Promise<void> = Promise.resolve();
  return {
    add(scope: Scope, orders: readonly Order[]): void {
      last = last
        .then(() => carryOutOrders(scope, orders, targets))
        .catch((error: unknown) => log.error({ problem: messageOf(error) }, "could not carry out orders"));
    },
    done: () => last,
  };
}

/** A resolver that hangs must not keep the host unprotected: after a while the answers it gave before stand. */
async function refreshNames(jails: readonly WatchedJail[], nowMs: number): Promise<void> {
  const timeout = Promise.withResolvers<void>();
  const timer = setTimeout(timeout.resolve, refreshTimeoutMs);
  await Promise.race([Promise.allSettled(jails.map((watched) => watched.refreshNames(nowMs))), timeout.promise]);
  clearTimeout(timer);
}

function tick({ enforcer, effects, jails, now }: OrderTargets): void {
  const nowMs = now();
  for (const { jail } of jails) {
    const ended = jail.expire(nowMs).map(({ id }) => id);
    if (ended.length > 0) effects.ended(jail.name, ended, nowMs);
  }
  void enforcer.expire(nowMs);
}

/** What the agent says of itself to the coordinator. */
function reported(
  { name: firewall, enforcing, stopped }: Enforcer,
  { result }: CanaryCheck,
  problems: readonly string[],
  lost: number,
) {
  const blocked = stopped.map(({ name, packets, bytes }) => ({ list: name, packets, bytes }));
  return {
    ...{ version, firewall, enforcing, problems: [...problems] },
    ...(result === undefined ? {} : { canary: result }),
    ...(lost === 0 ? {} : { lost }),
    ...(blocked.length === 0 ? {} : { blocked: blocked.filter(({ packets }) => packets > 0) }),
  };
}

function repeat(everyMs: number, work: () => void): Disposable {
  const timer = setInterval(work, everyMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
