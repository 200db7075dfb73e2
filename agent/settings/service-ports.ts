import { readFileSync } from "node:fs";
import { banPortsMax } from "../../shared/order.ts";

/** Names that stock jails use, for systems without /etc/services. Port numbers as registered with IANA. */
const commonPorts: Readonly<Record<string, number>> = {
  "ftp-data": 20,
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  http: 80,
  pop3: 110,
  imap: 143,
  imap2: 143,
  ldap: 389,
  https: 443,
  smtps: 465,
  submissions: 465,
  ssmtp: 465,
  urd: 465,
  submission: 587,
  ldaps: 636,
  "ftps-data": 989,
  ftps: 990,
  imaps: 993,
  pop3s: 995,
  "ms-sql-s": 1433,
  mysql: 3306,
  sieve: 4190,
  sip: 5060,
  "sip-tls": 5061,
  postgresql: 5432,
  "http-alt": 8080,
  webmin: 10_000,
};

export type ServicePorts = ReadonlyMap<string, number>;

/** The system's own names and, below them, the common ones. */
export function readServicePorts(file = "/etc/services"): ServicePorts {
  const ports = new Map(Object.entries(commonPorts));
  for (const line of readTextOrNothing(file).split("\n")) {
    const [name, port, ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/);
    const number = Number(/^(\d+)\/(?:tcp|udp)$/.exec(port ?? "")?.[1]);
    if (name !== undefined && number > 0) for (const each of [name, ...aliases]) ports.set(each, number);
  }
  return ports;
}

export type Ports = Readonly<{ ports: readonly number[] | null; warning?: string }>;

/**
 * Reads a ban action's `port`: numbers and names with commas between. Whatever cannot be listed as single ports
 * becomes every port, because a ban that is too wide for one attacker is better than one that does not stop him.
 *
 * @returns ports ascending, null = every port
 */
export function parsePorts(text: string, services: ServicePorts): Ports {
  const words = text.split(/[\s,]+/).filter((word) => word !== "");
  const ports = new Set<number>();
  for (const word of words) {
    if (/^[01]?[:-](65535)?$/.test(word) || word === "all" || word === "any") return { ports: null };
    const [first = "", last = first, ...more] = word.split(/[:-](?=\d+$)/);
    const port = portNumber(first, services);
    if (port === undefined || more.length > 0) {
      return { ports: null, warning: `port "${word}" is unknown here; write its number. Bans hold on every port` };
    }
    if (last !== first) {
      return { ports: null, warning: `port range "${word}" is not listed port by port. Bans hold on every port` };
    }
    ports.add(port);
  }
  if (ports.size > banPortsMax) {
    return { ports: null, warning: `more than ${banPortsMax} ports. Bans hold on every port` };
  }
  return { ports: ports.size === 0 ? null : [...ports].toSorted((one, other) => one - other) };
}

function portNumber(word: string, services: ServicePorts): number | undefined {
  if (!/^\d+$/.test(word)) return services.get(word);
  const port = Number(word);
  return port >= 1 && port <= 65_535 ? port : undefined;
}

function readTextOrNothing(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // Minimal systems have no such file; the common names remain.
    return "";
  }
}
