/** Why one of our filters leaves out, or takes, a line of fail2ban's own samples. */
export type AcceptedDifference = Readonly<{
  filter: string;
  reason: string;
  /** How the lines are recognised: by a word of theirs. */
  line: RegExp;
  kind: "missed" | "extra" | "other address";
  /** So many different lines today; fewer are welcome, more are not. */
  linesMax: number;
}>;

function missed(filter: string, linesMax: number, reason: string, line: RegExp): AcceptedDifference {
  return { filter, reason, line, kind: "missed", linesMax };
}

const nameOnly = "the line names a host instead of an address, and names are never resolved";
const noAddress = "no address in the line: it stands in another line of the connection, which counts";
const otherLayout = "a layout that no current syslog daemon or distribution writes";
const logwatch = "a report about lines, not a line";
const sameAttempt = "another line of the same attempt counts";

/** The first one that fits counts. */
export const acceptedDifferences: readonly AcceptedDifference[] = [
  missed("sshd", 8, nameOnly, / from example\.com\b/),
  missed("sshd", 7, otherLayout, / \[sshd\]|kernel: ?\[|^<38>1 /),
  missed(
    "sshd",
    16,
    noAddress,
    /Disconnecting: Too many|Read from socket|kex_exchange|key exchange method|no matching mac/,
  ),
  missed("sshd", 14, sameAttempt, /pam_unix|Bye Bye|Normal Shutdown|Failed publickey|Connection closed by 61/),
  missed("sshd", 1, "also the end of any session that logged in", /Connection closed by \S+ port \d+$/),
  missed("sshd", 4, "a success after failures that were counted", /Accepted password/),
  missed(
    "sshd",
    12,
    "what the client says of itself ends the line: it could name another address",
    /ssh1: ruser|hostbased|ssh2: from/,
  ),
  { filter: "sshd", reason: "no valid spelling of an address", line: /192\.030/, kind: "other address", linesMax: 2 },
  missed("dovecot", 1, logwatch, /Time\(s\)$/),
  missed("exim", 3, logwatch, /Time\(s\)$/),
  missed("exim", 5, "monitoring does this too: mode aggressive counts it", /no MAIL in SMTP/),
  missed("exim", 2, "a sender without reverse DNS is not hostile", /no host name found|no IP address found/),
  missed("exim-spam", 5, "free text that the sender chose stands before the address", /local_scan|SA: Action/),
  missed("postfix", 4, "4xx: greylisting and our own resolver's troubles look the same", / 450 4/),
  missed("postfix", 4, "block lists are for the modes rbl and aggressive", /blocked using/),
  missed(
    "postfix",
    1,
    "a client that asks for a mechanism we lack guesses nothing",
    /Invalid authentication mechanism/,
  ),
  missed("apache-auth", 3, "a wrong host name is not a login", /AH0203\d/),
  {
    filter: "apache-auth",
    reason: "denied is denied, whichever module says so",
    line: /evasive20/,
    kind: "extra",
    linesMax: 1,
  },
  missed("roundcube-auth", 6, "two addresses, and the first may be the user's text", / from \S+ (?:in )?from /),
  missed("mysqld-auth", 1, nameOnly, /'localhost'/),
  missed("mysqld-auth", 1, "in the journal, host and program stand before a line", /\[Warning\]/),
  missed("nginx-http-auth", 3, "broken TLS is not a login", /SSL_do_handshake/),
  {
    filter: "nginx-http-auth",
    reason: "a name with a colon, which HTTP cannot carry",
    line: /password mismatch, client: 127/,
    kind: "other address",
    linesMax: 1,
  },
  missed("nginx-botsearch", 4, "the path stands before the address: this filter reads the access log", /\[error\]/),
  missed("pam-generic", 4, nameOnly, /rhost=[\w.-]*[a-z](?: |$)/),
  missed("pam-generic", 2, "PAM before 1.0", /\(pam_unix\)|pam_unix:/),
  missed("pam-generic", 2, "two rhost= in one line: nobody can tell which one is PAM's", /rhost=.*rhost=/),
  missed("vsftpd", 1, "PAM before 1.0", /\(pam_unix\)/),
];
