import { copyFileSync, existsSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { failedLogin, type LiveHost } from "../support/live-fleet.ts";
import { waitFor } from "../support/wait-for.ts";

const everyMs = 20;
const ipv4Count = 250;
/** Of one address on one host: over all hosts it stays below the policy's threshold. */
const ipv4LinesMax = 6;
/** More than a test makes: what rotation deletes before anybody read it is lost to everybody. */
const keptRotations = 200;

/** Failure lines for every host's log, all the time, and a book of what was written. */
export class Storm implements Disposable {
  /** `address host` → lines written. */
  readonly written = new Map<string, number>();
  total = 0;
  readonly #hosts: readonly LiveHost[];
  readonly #timer: NodeJS.Timeout;
  #steps = 0;

  constructor(hosts: readonly LiveHost[]) {
    this.#hosts = hosts;
    this.#timer = setInterval(() => this.#step(), everyMs);
  }

  /** Enough of one attacker for a ban of the fleet, spread over the hosts. */
  attack(address: string, lines: number): void {
    for (let line = 0; line < lines; line += 1) {
      const host = this.#hosts[line % this.#hosts.length];
      if (host !== undefined) this.#write(host, [address]);
    }
  }

  /** Waits until so many more lines are in the logs: a measure of time that no clock decides. */
  async more(lines: number): Promise<void> {
    const goal = this.total + lines;
    await waitFor(() => this.total >= goal, `${lines} more lines`, 60_000);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #step(): void {
    this.#steps += 1;
    for (const [index, host] of this.#hosts.entries()) {
      // A network of its own for each step, and sometimes one address twice in one write.
      const ipv6 = `2001:db8:${this.#steps.toString(16)}:1::${index + 1}`;
      const ipv4 = `192.0.2.${1 + (this.#steps % ipv4Count)}`;
      const again = this.#steps % 3 === 0 && this.#steps < ipv4Count * ipv4LinesMax;
      this.#write(host, again ? [ipv6, ipv4, ipv6] : [ipv6]);
    }
  }

  #write(host: LiveHost, addresses: readonly string[]): void {
    host.append(...addresses.map((address) => failedLogin(host.name, address, Date.now())));
    for (const address of addresses) {
      const key = `${address} ${host.name}`;
      this.written.set(key, (this.written.get(key) ?? 0) + 1);
    }
    this.total += addresses.length;
  }
}

/** logrotate with `create`: the old file gets another name, a new one takes its place. */
export function rotateByRename({ logFile }: LiveHost): void {
  shiftRotations(logFile);
  renameSync(logFile, `${logFile}.1`);
  writeFileSync(logFile, "");
}

/** logrotate with `copytruncate`; nothing is written between the two, which is all it can promise. */
export function rotateByCopy({ logFile }: LiveHost): void {
  shiftRotations(logFile);
  copyFileSync(logFile, `${logFile}.1`);
  truncateSync(logFile);
}

function shiftRotations(logFile: string): void {
  for (let number = keptRotations; number > 0; number -= 1) {
    if (existsSync(`${logFile}.${number}`)) renameSync(`${logFile}.${number}`, `${logFile}.${number + 1}`);
  }
}
