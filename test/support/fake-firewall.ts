import { elementKey, type FirewallBackend, type FirewallSetup, type Health } from "../../agent/firewall/firewall.ts";
import { Fleet2banError } from "../../shared/errors.ts";

/** A firewall in memory that can be told to fail, to be slow and to be flushed. */
export type FakeFirewall = FirewallBackend &
  Readonly<{
    calls: string[];
    /** Element keys and their ends. */
    elements: Map<string, number | null>;
    /** Next calls that fail. */
    failures: string[];
    refuses: Set<string>;
    setup(): FirewallSetup | undefined;
    flush(): void;
    /** Calls wait until they are let through. */
    pause(): () => void;
  }>;

export function fakeFirewall(options: { endsBans?: boolean } = {}): FakeFirewall {
  const calls: string[] = [];
  const elements = new Map<string, number | null>();
  const failures: string[] = [];
  const refuses = new Set<string>();
  let health: Health = "missing";
  let setup: FirewallSetup | undefined;
  let gate = Promise.resolve();
  const enter = async (call: string) => {
    calls.push(call);
    await gate;
    const failure = failures.shift();
    if (failure !== undefined) throw new Fleet2banError("unavailable", failure);
  };
  const result = (nets: readonly string[]) => {
    const rejected = nets.filter((net) => refuses.has(net)).map((net) => ({ net, reason: "refused" }));
    return { applied: nets.length - rejected.length, rejected };
  };
  return {
    name: "observe",
    enforcing: true,
    endsBans: options.endsBans ?? true,
    healthEveryMs: 45_000,
    warnings: [],
    calls,
    elements,
    failures,
    refuses,
    setup: () => setup,
    flush: () => {
      elements.clear();
      health = "missing";
    },
    pause: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    open: async (wanted) => {
      await enter(`open ${wanted.allow.join(" ")}`);
      setup = wanted;
      health = "ok";
    },
    apply: async (change) => {
      const words = (["add", "renew", "remove"] as const).flatMap((kind) =>
        change[kind].map((each) => `${kind} ${elementKey(each)}`),
      );
      await enter(words.length > 9 ? `apply ${words.length}` : `apply ${words.join(", ")}`);
      if (health !== "ok") throw new Fleet2banError("unavailable", "the table is gone");
      for (const each of change.remove) elements.delete(elementKey(each));
      for (const each of [...change.add, ...change.renew]) {
        if (!refuses.has(each.net)) elements.set(elementKey(each), each.untilMs);
      }
      return result([...change.add, ...change.renew, ...change.remove].map(({ net }) => net));
    },
    replaceAll: async (wanted, wantedSetup) => {
      const all = [...wanted];
      await enter(`replace ${all.length}`);
      elements.clear();
      setup = wantedSetup;
      health = "ok";
      for (const each of all) if (!refuses.has(each.net)) elements.set(elementKey(each), each.untilMs);
      return result(all.map(({ net }) => net));
    },
    health: async () => {
      await enter("health");
      return health;
    },
    counters: async () => [],
    list: async () => [],
    teardown: async () => elements.clear(),
  };
}
