const filter = "[Definition]\nfailregex = ^own <HOST>$\n";
const jail = (text: string) => `[DEFAULT]\nenabled = true\nlogpath = DIR/one.log\naction =\n${text}`;

/** Small configurations, each for one rule of the format. All text is ours. */
export const nastyConfigs: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "files are laid over each other in order": {
    "jail.conf": jail("[a]\nfilter = f\nmaxretry = 1\nfindtime = 1m\nbantime = 1h\nmaxmatches = 1\n"),
    "jail.d/20.conf": "[DEFAULT]\nusedns = no\n[a]\nmaxretry = 2\nfindtime = 2m\nbantime = 2h\n",
    "jail.d/10.conf": "[a]\nmaxretry = 10\nlogtimezone = UTC+0200\n",
    "jail.local": "[a]\nfindtime = 3m\nbantime = 3h\n",
    "jail.d/30.local": "[a]\nbantime = 4h\n",
    "filter.d/f.conf": filter,
  },
  "an include brings the local file beside it": {
    "jail.conf":
      "[INCLUDES]\nbefore = sub/base.conf\n         missing.conf\nafter = late.conf\n[a]\nfilter = f\nmaxretry = 4\n",
    "sub/base.conf": `[INCLUDES]\nbefore = deeper.conf\n${jail("maxretry = 1\nfindtime = 10\nbantime = 10\n")}`,
    "sub/base.local": "[DEFAULT]\nfindtime = 20\n",
    "sub/deeper.conf": "[INCLUDES]\nbefore = base.conf\n[DEFAULT]\nbantime = 5\nusedns = no\n",
    "late.conf": "[a]\nignoreip = 192.0.2.1\n",
    "late.local": "[a]\nignoreip = 192.0.2.2, 192.0.2.3\n  198.51.100.0/24\n",
    "filter.d/f.conf": filter,
  },
  "values continue, comments vanish, blank lines are dropped": {
    "jail.conf": jail(
      "[a]\nfilter = f\nFailRegex = ^one <HOST>$ ; a remark\n  # not a value\n\n    ^two;x <HOST> # kept$\n  ; gone\n\tthree: <HOST>=$\n\n\nmaxretry : 7\n",
    ),
    "filter.d/f.conf": filter,
  },
  "percent signs, names and depths": {
    "jail.conf": jail(
      "x1 = %(x2)s\nx2 = %(x3)s\nx3 = %(x4)s\nx4 = 8\n[a]\nfilter = f\nmaxretry = %(x1)s\ndatepattern = ^%%Y-%%m-%%d\nignoreip = %(__name__)s %(fail2ban_confpath)s\nlogencoding = %(X4)s%%\n",
    ),
    "filter.d/f.conf": filter,
  },
  "known, default and other sections": {
    "jail.conf": jail(
      "bantime = 11\nignoreip = 192.0.2.1\n[other]\nenabled = false\nmine = 33\n[a]\nfilter = f\nfindtime = 12\nmaxretry = %(other/mine)s\nmaxmatches = %(other/bantime)s\n",
    ),
    "jail.local":
      "[a]\nfindtime = %(known/findtime)s0\nbantime = %(default/bantime)s0\nignoreip = %(known/ignoreip)s 192.0.2.2\nfailregex = %(known/failregex)s\n  ^more <HOST>$\n",
    "filter.d/f.conf": filter,
  },
  "a filter's local adds to what it replaces": {
    "jail.conf": jail("[a]\nfilter = f\n"),
    "filter.d/f.conf": "[Definition]\n_x = one\nfailregex = ^<_x> <HOST>$\n  ^%(_x)s again <HOST>$\n",
    "filter.d/f.local":
      "[Definition]\n_x = %(known/_x)s-two\nfailregex = %(known/failregex)s\n  ^<known/_x> third <HOST>$\n",
  },
  "tags are replaced innermost first": {
    "jail.conf": jail("mode = hard\n[a]\nfilter = f[mode=%(mode)s]\n[b]\nfilter = f\n[c]\nfilter = f[mode=none]\n"),
    "filter.d/f.conf":
      "[INCLUDES]\nbefore = common.conf\n[Definition]\nprefregex = ^<_p><F-CONTENT>.+</F-CONTENT>$\nfailregex = <re-<mode>>\n  <tail>\nre-hard = ^hard <HOST>$\n  %(re-soft)s\nre-soft = ^soft <HOST> <F-USER>\\S+</F-USER>$\ntail =\ndatepattern = <lt_<logtype>/pattern>\n[Init]\nmode = soft\n",
    "filter.d/common.conf":
      "[DEFAULT]\n_p = <lt_<logtype>/prefix>\nlogtype = file\n[lt_file]\nprefix = \\S+ <_d>: \npattern = {^LN-BEG}\n[lt_journal]\nprefix = \npattern = {NONE}\n[DEFAULT]\n_d = daemon\n",
  },
  "the journal changes the log type": {
    "jail.conf": jail("backend = systemd\n[a]\nfilter = f\n[b]\nfilter = f[logtype=file]\n[c]\nfilter = g\n"),
    "filter.d/f.conf":
      '[Definition]\nfailregex = ^<lt_<logtype>/p> <HOST>$\njournalmatch = _SYSTEMD_UNIT=a.service + _COMM="b c"\n  _COMM=d PRIORITY=3\n[lt_file]\np = file\n[lt_journal]\np = journal\n',
    "filter.d/g.conf": "[Definition]\nlogtype = short\nfailregex = ^<logtype> <HOST>$\n",
  },
  "jail, reference and filter name the same options": {
    "jail.conf": jail(
      '[a]\nfilter = f[maxlines=7, failregex="^ref <HOST>$", datepattern="ref"]\nmaxlines = 5\nusedns = raw\ndatepattern = jail\n[b]\nfilter = f\nfailregex = ^jail <HOST>$\nprefregex = ^p<F-CONTENT>.*</F-CONTENT>$\n[c]\nfilter = f\nignoreregex = ^i <HOST>$\njournalmatch = A=1\n[d]\nfilter = f[usedns=no, prefregex=r, journalmatch="B=2"]\nusedns = yes\nprefregex = j\njournalmatch = A=1\n[e]\nfilter = f[failregex="^ref <HOST>$"]\nfailregex = ^jail <HOST>$\n',
    ),
    "filter.d/f.conf":
      "[Definition]\nfailregex = ^own <HOST>$\nignoreregex = ^own\nprefregex = ^own\nmaxlines = 3\nusedns = warn\ndatepattern = own\njournalmatch = O=1\n",
  },
  "options of the jail are known to its filter": {
    "jail.conf": jail("[a]\nfilter = f\nmaxretry = 9\nbantime = 77\n"),
    "filter.d/f.conf":
      "[Definition]\nfailregex = ^<maxretry> %(bantime)s <known/x> <y> <HOST>$\nbantime = 5\n[Init]\nx = ix\ny = <z>-%(z)s\nz = zed\n",
  },
  "references with quotes, groups and lines": {
    "jail.conf": jail(
      'port = 22\nact = cmd[a="1, 2]", b=\'say "x"\'][ c=3 , d.e-f=4]\naction = %(act)s\n  cmd[name=other,\n    a=5] cmd[actname=third]\n  cmd[name=%(__name__)s-x]\n[a]\nfilter = f[\n  x="a,b",\n  y=2\n  ][z=\'3\']\n',
    ).replace("action =\n", ""),
    "filter.d/f.conf": "[Definition]\nfailregex = ^<x> <y> <z> <HOST>$\n",
    "action.d/cmd.conf":
      "[Definition]\nactionban = echo <a> <b> <ip> <bantime> <name> <p> <maxretry>\nactionunban = echo <p>\n[Init]\na = none\np = v4\n[Init?family=inet6]\np = v6\n",
  },
  "what is broken does not hurt the others": {
    "jail.conf": jail(
      '[a]\nfilter = f\n[b]\nfilter = missing\n[c]\nfilter = f[x="1"junk]\n[d]\nfilter = f\naction = nosuch\n[e]\nfilter = f\nfailregex =\n[f]\nfilter = f\naction = cmd[=]\n',
    ),
    "filter.d/f.conf": filter,
    "action.d/cmd.conf": "[Definition]\nactionban = true\n",
  },
  "a jail adds to the filter's journal match": {
    "jail.conf": jail("[a]\nfilter = f\njournalmatch = %(known/journalmatch)s\n  _COMM=more\n"),
    "filter.d/f.conf": `${filter}journalmatch = _SYSTEMD_UNIT=x.service\n`,
  },
  "log files, globs, heads and tails": {
    "jail.conf": jail("[a]\nfilter = f\nlogpath = DIR/o*.log tail\n  DIR/t?o.log\n\n  DIR/none.log head\n"),
    "filter.d/f.conf": filter,
  },
  "spared addresses are divided by commas, lines and blanks of every kind": {
    "jail.conf": jail("[a]\nfilter = f\nignoreip = 192.0.2.1,\t192.0.2.2\t, 192.0.2.3 \t\n\t198.51.100.0/24\t \t::1\n"),
    "filter.d/f.conf": filter,
  },
  "times are calculated": {
    "jail.conf": jail(
      "[a]\nfilter = f\nfindtime = 1d12h\nbantime = 1y-6mo\n[b]\nfilter = f\nfindtime = 2*3h 1m\nbantime = -1\n[c]\nfilter = f\nfindtime = 1h 30m 5\nbantime = 2 Weeks\n",
    ),
    "filter.d/f.conf": filter,
  },
};
