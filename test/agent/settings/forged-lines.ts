import fc from "fast-check";

/** Whose lines they are. */
export const peer = "192.0.2.7";

/** Lines as the daemons write them around a name that the client chose. */
const templates: readonly (readonly [filter: string, line: (name: string) => string])[] = [
  ["sshd", (name) => `Nov 22 06:25:01 vps sshd[1]: Invalid user ${name} from ${peer} port 40000`],
  [
    "sshd",
    (name) => `Nov 22 06:25:01 vps sshd[1]: Failed password for invalid user ${name} from ${peer} port 40000 ssh2`,
  ],
  [
    "sshd[mode=extra]",
    (name) => `Nov 22 06:25:01 vps sshd[1]: Connection closed by invalid user ${name} ${peer} port 1 [preauth]`,
  ],
  [
    "sshd[mode=ddos]",
    (name) => `Nov 22 06:25:01 vps sshd[1]: Bad protocol version identification '${name}' from ${peer} port 1`,
  ],
  [
    "dovecot",
    (name) =>
      `Nov 22 06:25:01 m dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<${name}>, method=PLAIN, rip=${peer}, lip=203.0.113.5, TLS, session=<Abc>`,
  ],
  ["dovecot", (name) => `Nov 22 06:25:01 m dovecot: auth: passwd-file(${name},${peer},<Abc>): unknown user`],
  [
    "exim",
    (name) =>
      `2026-11-22 06:25:01 login authenticator failed for (${name}) [${peer}]: 535 Incorrect authentication data (set_id=${name})`,
  ],
  [
    "exim",
    (name) =>
      `2026-11-22 06:25:01 SMTP protocol error in "AUTH ${name}" H=(x) [${peer}] AUTH command used when not advertised`,
  ],
  [
    "postfix[mode=aggressive]",
    (name) =>
      `Nov 22 06:25:01 m postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[${peer}]: 554 5.7.1 <${name}>: Relay access denied; from=<${name}> to=<a@example.org> proto=ESMTP helo=<${name}>`,
  ],
  [
    "mysqld-auth",
    (name) => `2026-11-22T06:25:01.1Z 12 [Note] Access denied for user '${name}'@'${peer}' (using password: YES)`,
  ],
  ["vsftpd", (name) => `Sun Nov 22 06:25:01 2026 [pid 1] [${name}] FAIL LOGIN: Client "${peer}"`],
  [
    "vsftpd",
    (name) =>
      `Nov 22 06:25:01 v vsftpd: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=${name} rhost=${peer}  user=${name}`,
  ],
  [
    "pam-generic",
    (name) =>
      `Nov 22 06:25:01 v vsftpd: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=${name} rhost=${peer}`,
  ],
  [
    "proftpd",
    (name) =>
      `Nov 22 06:25:01 v proftpd[1]: 203.0.113.5 (x[${peer}]) - USER ${name} (Login failed): Incorrect password`,
  ],
  [
    "pure-ftpd",
    (name) => `Nov 22 06:25:01 v pure-ftpd: (?@${peer}) [WARNING] Authentication failed for user [${name}]`,
  ],
  [
    "roundcube-auth",
    (name) => `[22-Nov-2026 06:25:01 +0000]: <abc> Failed login for ${name} from ${peer} in session abc (error: 1)`,
  ],
  [
    "roundcube-auth",
    (name) =>
      `[22-Nov-2026 06:25:01 +0000]: <abc> IMAP Error: Login failed for ${name} against localhost from ${peer}. LOGIN: no ${name} in /x.php on line 1 (POST /)`,
  ],
  // The name of basic authentication ends at its first colon.
  [
    "nginx-http-auth",
    (name) =>
      `2026/11/22 06:25:01 [error] 1#1: *4 user "${name.replaceAll(":", "")}": password mismatch, client: ${peer}, server: _, request: "GET /${name} HTTP/1.1", host: "x"`,
  ],
  [
    "nginx-botsearch",
    (name) => `${peer} - ${name} [22/Nov/2026:06:25:01 +0000] "GET /.env?${name} HTTP/1.1" 404 1 "${name}" "${name}"`,
  ],
  [
    "apache-auth",
    (name) =>
      `[Sun Nov 22 06:25:01.1 2026] [auth_basic:error] [pid 1] [client ${peer}:51000] AH01618: user ${name} not found: /${name}`,
  ],
];
const victim = "198.51.100.66";
const pieces = fc.constantFrom(
  ...[
    "root",
    " ",
    victim,
    ` from ${victim}`,
    ` port 22`,
    " ssh2",
    ": ",
    " [preauth]",
    "Failed password for ",
    ">",
    ", method=PLAIN",
  ],
  ...[
    `, rip=${victim}`,
    ", lip=203.0.113.5",
    ", session=<x>",
    "'@'",
    "' (using password: YES)",
    "]",
    "[",
    ")",
    "(",
    `[${victim}]`,
  ],
  ...[
    `,${victim},<x>)`,
    ": unknown user",
    '"',
    `FAIL LOGIN: Client "${victim}"`,
    ` rhost=${victim}`,
    "  user=x",
    " in session abc",
  ],
  ...[
    ` against x from ${victim}. LOGIN: `,
    `, client: ${victim}`,
    ", server: _",
    "': ",
    ` H=(x) [${victim}]`,
    " AUTH command used when not advertised",
  ],
  ...[
    "\\",
    "é",
    "%",
    "$",
    "^",
    " not allowed because not in any group",
    `: USER x (Login failed): `,
    ` ${victim} port 1`,
  ],
);

const syslog = "Nov 22 06:25:01 h";
const date = "2026-11-22 06:25:01";
const pam = (name: string) => `logname= uid=0 euid=0 tty=x ruser=${name} rhost=${peer}  user=${name}`;

/** More of them, by filter: what the client says stands in several places. */
const moreTemplates: Readonly<Record<string, readonly ((name: string) => string)[]>> = {
  "sshd[mode=aggressive]": [
    (name) => `${syslog} sshd[1]: error: maximum authentication attempts exceeded for ${name} from ${peer} port 1 ssh2`,
    (name) => `${syslog} sshd[1]: Disconnecting invalid user ${name} ${peer} port 1: Too many authentication failures`,
    (name) => `${syslog} sshd[1]: error: PAM: Authentication failure for illegal user ${name} from ${peer}`,
    (name) => `${syslog} sshd[1]: User ${name} from ${peer} not allowed because listed in DenyUsers`,
    (name) => `${syslog} sshd[1]: Disconnected from authenticating user ${name} ${peer} port 1 [preauth]`,
    (name) => `${syslog} sshd[1]: Connection reset by invalid user ${name} ${peer} port 1 [preauth]`,
    (name) =>
      `${syslog} sshd[1]: fatal: ssh_dispatch_run_fatal: Connection from invalid user ${name} ${peer} port 1: broken`,
    (name) =>
      `${syslog} sshd[1]: Disconnecting invalid user ${name} ${peer} port 1: Change of username or service not allowed: (${name},ssh-connection) -> (${name},ssh-connection) [preauth]`,
    (name) => `${syslog} sshd[1]: error: Received disconnect from ${peer} port 1:3: ${name}: Auth fail [preauth]`,
    (name) =>
      `${syslog} sshd[1]: Unable to negotiate with ${peer} port 1: no matching cipher found. Their offer: ${name} [preauth]`,
    (name) => `${syslog} sshd[1]: Protocol major versions differ for ${peer} port 1: ${name} vs. ${name}`,
    (name) => `${syslog} sshd[1]: message repeated 2 times: [ Failed password for ${name} from ${peer} port 1 ssh2]`,
  ],
  "exim[mode=aggressive]": [
    (name) => `${date} H=(${name}) [${peer}] F=<${name}> rejected RCPT <${name}>: relay not permitted`,
    (name) => `${date} H=(x) [${peer}] F=<${name}> rejected RCPT <${name}>: ${name} unknown user`,
    (name) => `${date} rejected EHLO from (${name}) [${peer}]: syntactically invalid argument(s): ${name}`,
    (name) => `${date} H=(${name}) [${peer}] sender verify fail for <${name}>: ${name}`,
    (name) =>
      `${date} SMTP protocol synchronization error (input sent without waiting for greeting): rejected connection from H=(${name}) [${peer}] input="${name}"`,
    (name) =>
      `${date} SMTP call from (${name}) [${peer}] dropped: too many syntax or protocol errors (last command was "${name}")`,
    (name) => `${date} no MAIL in SMTP connection from (${name}) [${peer}] D=1s C=${name}`,
    (name) => `${date} 1abcde-000abc-Xy SMTP connection from (${name}) [${peer}] closed by DROP in ACL`,
  ],
  "exim-spam": [
    (name) => `${date} H=(${name}) [${peer}] F=<${name}> rejected after DATA: this is spam: ${name}`,
    (name) => `${date} H=(x) [${peer}] rejected RCPT <${name}>: ${name} is on a blacklist`,
  ],
  "postfix[mode=aggressive]": [
    (name) =>
      `${syslog} postfix/smtpd[1]: NOQUEUE: reject: EHLO from x[${peer}]: 450 4.7.1 <${name}>: Helo command rejected: Host not found; proto=SMTP helo=<${name}>`,
    (name) => `${syslog} postfix/smtpd[1]: improper command pipelining after EHLO from x[${peer}]: ${name}`,
    (name) => `${syslog} postfix/smtpd[1]: warning: non-SMTP command from x[${peer}]: ${name}`,
    (name) => `${syslog} postfix/postscreen[1]: PREGREET 11 after 0.1 from [${peer}]:1: ${name}`,
    (name) => `${syslog} postfix/postscreen[1]: COMMAND PIPELINING from [${peer}]:1 after ${name}: ${name}`,
    (name) =>
      `${syslog} postfix/smtpd[1]: warning: x[${peer}]: SASL LOGIN authentication failed: ${name}, sasl_username=${name}`,
  ],
  "dovecot[mode=aggressive]": [
    (name) =>
      `${syslog} dovecot: pop3-login: Aborted login (no auth attempts in 2 secs): user=<${name}>, rip=${peer}, lip=203.0.113.5`,
    (name) => `${syslog} dovecot: auth-worker(1): pam(${name},${peer}): unknown user`,
    (name) => `${syslog} auth: pam_unix(dovecot:auth): authentication failure; ${pam(name)}`,
  ],
  "nginx-limit-req": [
    (name) =>
      `2026/11/22 06:25:01 [error] 1#1: *4 limiting requests, excess: 20.1 by zone "one", client: ${peer}, server: _, request: "GET /${name} HTTP/1.1", host: "${name}", referrer: "${name}"`,
  ],
  "apache-scanners": [
    (name) =>
      `${peer} - ${name} [22/Nov/2026:06:25:01 +0000] "GET /.env?${name} HTTP/1.1" 404 1 "${name}" "sqlmap ${name}"`,
    (name) =>
      `www.example.com:443 ${peer} - ${name} [22/Nov/2026:06:25:01 +0000] "GET /${name} HTTP/1.1" 200 1 "${name}" "sqlmap"`,
  ],
  "apache-auth": [
    (name) =>
      `[Sun Nov 22 06:25:01.1 2026] [auth_digest:error] [pid 1] [client ${peer}:5] AH01790: user \`${name}' in realm \`${name}' not found: /${name}`,
    (name) =>
      `[Sun Nov 22 06:25:01.1 2026] [authz_core:error] [pid 1] [client ${peer}:5] AH01630: client denied by server configuration: /${name}`,
    (name) =>
      `[Sun Nov 22 06:25:01 2026] [error] [client ${peer}] Authorization of user ${name} to access /${name} failed, reason: ${name}`,
  ],
  proftpd: [
    (name) =>
      `${syslog} proftpd[1]: 203.0.113.5 (x[${peer}]) - USER ${name}: no such user found from x [${peer}] to y:21`,
    (name) => `${syslog} proftpd[1]: 203.0.113.5 (x[${peer}]) - SECURITY VIOLATION: ${name} login attempted.`,
  ],
  "roundcube-auth": [(name) => `[22-Nov-2026 06:25:01 +0000]: <abc> FAILED login for ${name} from ${peer}`],
  "mysqld-auth": [
    (name) => `${syslog} mysqld[1]: 12 [Warning] Access denied for user '${name}'@'${peer}' (using password: NO)`,
    (name) => `261122  6:25:01 [Warning] Access denied for user '${name}'@'${peer}' (using password: YES)`,
  ],
  "pam-generic": [(name) => `${syslog} app[1]: pam_unix(x:auth): authentication failure; ${pam(name)}`],
};

/** Every line, with a name in it that the client chose. */
export function forgedLines(name: string): Readonly<{ filter: string; line: string }>[] {
  const more = Object.entries(moreTemplates).flatMap(([filter, lines]) => lines.map((line) => [filter, line] as const));
  return [...templates, ...more].map(([filter, line]) => ({ filter, line: line(name) }));
}

/** Names made of what attackers put into them: other addresses, and the daemons' own words around them. */
export function forgedNames(count: number): string[] {
  const names = fc.array(pieces, { maxLength: 7 }).map((parts) => parts.join(""));
  return fc.sample(names, { seed: 7, numRuns: count });
}
