/** What stands in most lines of most logs. A line is better found by a text that does not. */
export const everyday =
  "2026-01-01T01:01:01 jan feb host cron[10]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0) " +
  "session closed for user sshd[1]: accepted publickey for from 10.0.0.1 port 10000 ssh2: received disconnect from " +
  "disconnected by user systemd-logind: new session of user. session logged out. waiting for processes to exit. " +
  "systemd[1]: starting started stopped service deactivated successfully. failed password for invalid user not found " +
  "connect from connection closed by authentication error warning: status=sent (250 ok) to=<a@example.com>, relay= " +
  "login: disconnected: method=plain, rip=, lip=, tls, session=<> [info] [error] client: server: request: get / http/1.1";
