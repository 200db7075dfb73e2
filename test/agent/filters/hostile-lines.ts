import type { seededRandom } from "./seeded-random.ts";

/** Log lines in which the peer chooses the name, by daemon. */
const templates: readonly (readonly [filter: string, line: (name: string, peer: string, pid: number) => string])[] = [
  [
    "sshd",
    (name, peer, pid) =>
      `Mar  1 12:00:00 h sshd[${pid}]: Failed password for invalid user ${name} from ${peer} port 4022 ssh2`,
  ],
  ["sshd", (name, peer, pid) => `Mar  1 12:00:00 h sshd[${pid}]: Invalid user ${name} from ${peer} port 4022`],
  [
    "sshd",
    (name, peer, pid) =>
      `Mar  1 12:00:00 h sshd[${pid}]: User ${name} from ${peer} not allowed because not listed in AllowUsers`,
  ],
  [
    "sshd",
    (name, peer, pid) =>
      `Mar  1 12:00:00 h sshd[${pid}]: Connection closed by invalid user ${name} ${peer} port 4022 [preauth]`,
  ],
  [
    "postfix[mode=auth]",
    (name, peer, pid) =>
      `Mar  1 12:00:00 h postfix/smtpd[${pid}]: warning: unknown[${peer}]: SASL LOGIN authentication failed: ${name}`,
  ],
  [
    "dovecot",
    (name, peer) =>
      `Mar  1 12:00:00 h dovecot: imap-login: Aborted login (auth failed, 3 attempts in 9 secs): user=<${name}>, method=PLAIN, rip=${peer}, lip=192.0.2.200, session=<x>`,
  ],
  ["vsftpd", (name, peer, pid) => `Mar  1 12:00:00 h vsftpd[${pid}]: [${name}] FAIL LOGIN: Client "${peer}"`],
];

/** What attackers put into names: other addresses, and the daemons' own words around them. */
const pieces = [
  "198.51.100.66",
  " from 198.51.100.66",
  " from 198.51.100.66 port 22 ssh2",
  "2001:db8::bad",
  "root",
  " ",
  "  ",
  "[",
  "]",
  ":",
  ",",
  "Invalid user ",
  "Failed password for ",
  "invalid user ",
  " port 22",
  " ssh2",
  "rhost=198.51.100.66",
  " user=root",
  ", rip=198.51.100.66",
  ">, method=PLAIN",
  "sshd[1]: ",
  "Mar  1 12:00:00 ",
  " not allowed because not listed in AllowUsers",
  "message repeated 9 times: [ ",
  " via 198.51.100.66",
  "[preauth]",
  "ö",
  "\\n",
  "%",
  "from",
  "<198.51.100.66>",
  "::ffff:198.51.100.66",
  "'",
  '"',
  "Client 198.51.100.66",
];

/** A line of some daemon whose peer chose a hostile name. */
export function hostileLine(random: ReturnType<typeof seededRandom>): { filter: string; line: string; peer: string } {
  const [filter, lineOf] = random.pick(templates);
  // One peer per connection, as it is in life.
  const connection = 1 + random.below(200);
  const peer = connection % 4 === 0 ? `2001:db8::${connection.toString(16)}` : `203.0.113.${connection}`;
  const name = Array.from({ length: random.below(6) }, () => random.pick(pieces)).join("");
  return { filter, line: lineOf(name, peer, connection), peer };
}

export const hostileFilters: readonly string[] = [...new Set(templates.map(([filter]) => filter))];
