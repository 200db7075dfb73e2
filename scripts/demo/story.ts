import { failedLogin, type LiveFleet, type LiveHost } from "../../test/support/live-fleet.ts";
import { openPeer, type TrafficPeer } from "../../test/support/traffic.ts";
import { waitFor } from "../../test/support/wait-for.ts";

/** The last line of `--once`. */
export type StoryResult = Readonly<{
  ok: boolean;
  hosts: number;
  failures: number;
  bans: readonly Readonly<{ address: string; level: number; hosts: number; msFromLastFailure: number }>[];
  /** Hosts on which a real connection of the banned attacker failed, and, after the unban, worked again. */
  blockedOn: number;
  unbannedOn: number;
  /** No packet was stopped, because there was no root. */
  observed: boolean;
}>;

type Ban = Readonly<{
  id: number;
  net: string;
  level: number | null;
  reason: string;
  until: string | null;
  ports: number[] | null;
}>;
type Say = (text: string) => void;

const sshPort = 22;
const rounds = 3;
/** The policy's threshold, and how the attacker stays below every single host's own. */
const failuresPerRound = 3;
const arrivalMs = 10_000;

/** Attack, ban everywhere, unban, again: the ladder climbs on the third time. Every claim is checked, nothing is assumed. */
export async function tellStory(fleet: LiveFleet, say: Say): Promise<StoryResult> {
  await using peers = new AsyncDisposableStack();
  const attack = await Attack.open(fleet, peers);
  const bans: StoryResult["bans"][number][] = [];
  let blockedOn = 0;
  let unbannedOn = 0;
  say(`three hosts, ${attack.address} attacks; every host alone would wait for 50 failures`);
  const before = await attack.reaches();
  say(`the attacker connects to ${before.length} of 3 hosts${attack.isReal ? "" : " (not tried, observing)"}`);
  for (let round = 1; round <= rounds; round += 1) {
    const { ban, msFromLastFailure, appliedOn } = await attack.strike(say);
    bans.push({ address: attack.address, level: ban.level ?? -1, hosts: appliedOn, msFromLastFailure });
    say(
      `decision: ${ban.reason} → fleet ban, level ${ban.level}, ${ban.ports === null ? "all ports" : `port ${ban.ports}`}, until ${ban.until}`,
    );
    say(`in force on ${appliedOn} hosts ${msFromLastFailure} ms after the last line was written`);
    const open = await attack.reaches();
    const blocked = fleet.hosts.length - open.length;
    if (round === 1) blockedOn = attack.isReal ? blocked : 0;
    if (attack.isReal) {
      say(`a real connection is refused by ${blocked} of 3 hosts, among them host3, which never saw the attacker`);
      say(`his neighbour ${attack.neighbour} still connects to ${(await attack.neighbourReaches()).length} of 3`);
    }
    const receipt = await attack.unban(ban);
    const freed = await attack.reaches();
    unbannedOn = attack.isReal ? freed.length : receipt;
    say(
      `unban: gone on ${receipt} of 3 hosts${attack.isReal ? `, the attacker connects to ${freed.length} of 3` : ""}`,
    );
  }
  const levels = bans.map(({ level }) => level).join(", ");
  say(`the ladder climbed: levels ${levels} (an hour, an hour, a day)`);
  const everywhere = bans.every(({ hosts }) => hosts === fleet.hosts.length) && unbannedOn === fleet.hosts.length;
  const real = !attack.isReal || (blockedOn === fleet.hosts.length && before.length === fleet.hosts.length);
  const failures = rounds * failuresPerRound;
  const ok = everywhere && real && levels === "0, 0, 1";
  return { ok, hosts: fleet.hosts.length, failures, bans, blockedOn, unbannedOn, observed: !attack.isReal };
}

class Attack {
  readonly address: string;
  readonly neighbour: string;
  readonly #fleet: LiveFleet;
  readonly #peer: TrafficPeer | null;

  private constructor(fleet: LiveFleet, address: string, neighbour: string, peer: TrafficPeer | null) {
    this.#fleet = fleet;
    this.address = address;
    this.neighbour = neighbour;
    this.#peer = peer;
  }

  static async open(fleet: LiveFleet, peers: AsyncDisposableStack): Promise<Attack> {
    const { network } = fleet;
    const [address, neighbour] = ["203.0.113.66", "203.0.113.67"];
    if (network === null) return new Attack(fleet, address, neighbour, null);
    for (const each of [address, neighbour]) network.attacker.addAddress(each);
    const peer = peers.use(openPeer(network.attacker));
    await Promise.all(
      fleet.hosts.map(({ place }) => (place === null ? undefined : peers.use(openPeer(place)).serve([sshPort]))),
    );
    return new Attack(fleet, address, neighbour, peer);
  }

  get isReal(): boolean {
    return this.#peer !== null;
  }

  reaches(): Promise<LiveHost[]> {
    return this.#reachedFrom(this.address);
  }

  neighbourReaches(): Promise<LiveHost[]> {
    return this.#reachedFrom(this.neighbour);
  }

  /** Two failures on the first host and one on the second: three over the fleet. */
  async strike(say: Say) {
    const [first, second] = this.#fleet.hosts;
    if (first === undefined || second === undefined) throw new Error("the story needs two hosts");
    // A failure of the second in which the last ban was lifted would be a straggler of that attack, and rightly so.
    await waitFor(() => Date.now() % 1000 < 500, "the next second");
    for (const host of [first, first, second]) {
      const line = failedLogin(host.name, this.address, Date.now());
      host.append(line);
      say(`${host.name}  ${line}`);
    }
    const startedMs = performance.now();
    const blockedMs = await this.#blockedEverywhere(startedMs);
    const ban = await waitFor(() => this.#standing(), "the coordinator's ban", arrivalMs);
    const appliedOn = await this.#appliedOn(ban.id, (applied) => applied === this.#fleet.hosts.length);
    const msFromLastFailure = Math.round(blockedMs ?? performance.now() - startedMs);
    return { ban, msFromLastFailure, appliedOn };
  }

  async unban(ban: Ban): Promise<number> {
    await this.#fleet.api("DELETE", `/bans/${ban.id}?reason=demo`);
    const applied = await this.#appliedOn(ban.id, (count) => count === this.#fleet.hosts.length);
    // Failures are dated to the second; the next attack must not fall into the one of this unban.
    const second = Math.floor(Date.now() / 1000);
    await waitFor(() => Math.floor(Date.now() / 1000) > second, "the second of the unban to end");
    return applied;
  }

  /** When the last host stopped answering, by real connections, tried again and again. */
  async #blockedEverywhere(startedMs: number): Promise<number | undefined> {
    const peer = this.#peer;
    if (peer === null) return undefined;
    const times = await Promise.all(
      this.#fleet.hosts.map(({ place, name }) =>
        waitFor(
          async () => {
            const triedMs = performance.now();
            const outcome = await peer.knock(this.address, place?.ipv4 ?? "", sshPort);
            return outcome === "answered" ? undefined : triedMs - startedMs;
          },
          `${name} to drop the attacker's packets`,
          arrivalMs,
        ),
      ),
    );
    return Math.max(...times);
  }

  async #standing(): Promise<Ban | undefined> {
    const { items } = await this.#fleet.api<{ items: Ban[] }>("GET", `/bans?net=${this.address}&scope=fleet`);
    return items[0];
  }

  async #appliedOn(id: number, enough: (applied: number) => boolean): Promise<number> {
    let last = 0;
    await waitFor(
      async () => {
        const { applied } = await this.#fleet.api<{ applied: number }>("GET", `/bans/${id}/receipt`);
        last = applied;
        return enough(applied);
      },
      "every host's receipt",
      arrivalMs,
    );
    return last;
  }

  async #reachedFrom(address: string): Promise<LiveHost[]> {
    const peer = this.#peer;
    if (peer === null) return [];
    const outcomes = await Promise.all(
      this.#fleet.hosts.map(async (host) => {
        const outcome = await peer.knock(address, host.place?.ipv4 ?? "", sshPort);
        return outcome === "answered" ? [host] : [];
      }),
    );
    return outcomes.flat();
  }
}
