import { seededRandom } from "../filters/seeded-random.ts";

/** File name below the configuration directory → text. `DIR` in a text is the directory. */
export type ConfigText = Readonly<Record<string, string>>;

type Random = ReturnType<typeof seededRandom>;

const jails = ["a", "b.c", "d-e"] as const;
const filters = ["f", "g"] as const;
/** Options that jails and filters define and refer to, and that mean nothing by themselves. */
const names = ["x", "y", "_z", "mode", "port"] as const;

const times = ["10", "10m", "1h 30m", "1d12h", "2*3h", "1y-6mo", "1w", "5 Minutes", "90"];
const words = ["one", "two;2", "three # 3", "[4]", "(?:5|six)", "ä", "日本", "a:b=c", "\\S+", "'q'", "<HOST", "$"];
const regexes = ["^one <HOST>$", "two \\[<ADDR>\\];x", "^<F-USER>\\S+</F-USER> # <HOST>:", '^=<IP4> "q"$'];

/** A random configuration of every kind of file that fail2ban reads, heavy with what refers to something else. */
export function randomConfig(seed: number): ConfigText {
  const random = seededRandom(seed);
  const often = (chance: number) => random.below(100) < chance;
  const files: Record<string, string> = { "one.log": "", "two.log": "" };
  const eol = often(10) ? "\r\n" : "\n";
  const put = (name: string, text: string) => {
    files[name] = text.replaceAll("\n", eol);
  };

  put("jail.conf", jailFile(random, true));
  for (const name of ["jail.d/20.conf", "jail.d/10.conf", "jail.local", "jail.d/z.local"]) {
    if (often(45)) put(name, jailFile(random, false));
  }
  if (often(40)) {
    put("jail.d/05.conf", `[INCLUDES]\nbefore = ../inc/first.conf\n${often(50) ? "after = ../inc/last.conf\n" : ""}`);
    put("inc/first.conf", jailFile(random, false));
    if (often(50)) put("inc/first.local", jailFile(random, false));
    if (often(50)) put("inc/last.conf", jailFile(random, false));
  }
  for (const filter of filters) {
    put(`filter.d/${filter}.conf`, filterFile(random, true));
    if (often(40)) put(`filter.d/${filter}.local`, filterFile(random, false));
    if (often(15)) put(`filter.d/${filter}.d/more.conf`, filterFile(random, false));
  }
  put(
    "filter.d/shared.conf",
    `${often(20) ? "[INCLUDES]\nbefore = shared.conf\n  missing.conf\nafter = DIR/filter.d/deep.conf\n" : ""}${sharedFile(random)}`,
  );
  if (often(50)) put("filter.d/deep.conf", sharedFile(random));
  if (often(30)) put("filter.d/shared.local", sharedFile(random));
  put("action.d/cmd.conf", actionFile(random, true));
  if (often(30)) put("action.d/cmd.local", actionFile(random, false));
  put("action.d/iptables-multiport.conf", "[Definition]\nactionban = true\n[Init]\nport = 1:2\nblocktype = DROP\n");
  return files;
}

function jailFile(random: Random, first: boolean): string {
  const sections = first ? ["DEFAULT", ...jails] : ["DEFAULT", ...jails].filter(() => random.below(2) === 0);
  return sections.map((name) => section(random, name, jailSection(random, name, first))).join(gap(random));
}

function jailSection(random: Random, name: string, first: boolean): [string, string][] {
  const isDefault = name === "DEFAULT";
  const given: [string, string][] = [];
  if (first && isDefault) {
    given.push(["enabled", random.pick(["true", "yes", "1", "On"])], ["logpath", "DIR/one.log"]);
    given.push(["x", "dx"], ["y", "dy"], ["_z", "dz"], ["mode", "soft"], ["port", "25,110:112"], ["x-span", "7m"]);
    given.push(["filter", "%(__name__)s"], ["banaction", "iptables-multiport"]);
    given.push(["action_", '%(banaction)s[port="%(port)s", protocol=tcp]'], ["action", "%(action_)s"]);
    given.push(["maxretry", "5"], ["findtime", "10m"], ["bantime", "1h"], ["ignoreip", "192.0.2.1"]);
  }
  if (first && !isDefault) given.push(["filter", filterReference(random)]);
  // Two layers that both add to what is known refer to themselves; so only some may.
  const layer = first || random.below(3) > 0 ? "default" : "known";
  const earlier = (option: string, fallback: string) => (isDefault ? fallback : `%(${layer}/${option})s`);
  const choices: readonly (() => [string, string])[] = [
    () => [random.pick(names), value(random, name, 2)],
    () => [random.pick(names), value(random, name, 3)],
    () => ["failregex", list(random, name, [...regexes, "%(known/failregex)s"])],
    () => ["failregex", list(random, name, ["%(known/failregex)s", ...regexes])],
    () => ["ignoreregex", list(random, name, ["^ig <HOST>", "%(known/ignoreregex)s"])],
    () => ["prefregex", random.pick(["^p<F-CONTENT>.+</F-CONTENT>$", "%(known/prefregex)s", ""])],
    () => ["maxretry", random.pick(["3", "7", earlier("maxretry", "6"), isDefault ? "4" : "%(default/maxretry)s"])],
    () => ["maxmatches", random.pick(["3", "%(maxretry)s", "0"])],
    () => ["findtime", random.pick([...times, "%(x-span)s", earlier("findtime", "3")])],
    () => ["bantime", random.pick([...times, "-1", "%(X-Span)s", isDefault ? "2h" : "%(default/bantime)s"])],
    () => ["bantime.increment", random.pick(["true", "false", "YES", "maybe"])],
    () => ["bantime.factor", random.pick(["1", "24", "1.5 * 2"])],
    () => ["bantime.multipliers", "1 2 4\n  8 16"],
    () => ["bantime.maxtime", random.pick(times)],
    () => ["bantime.rndtime", random.pick(times)],
    () => ["bantime.overalljails", random.pick(["true", "no"])],
    () => [
      "ignoreip",
      list(random, name, ["192.0.2.7", "198.51.100.0/24, 203.0.113.9", earlier("ignoreip", "::2"), "::1"]),
    ],
    () => ["ignorecommand", value(random, name, 2)],
    () => ["ignoreself", random.pick(["true", "false", "0", "nonsense"])],
    () => ["ignorecache", random.pick(['key="<ip>", max-count=5, max-time=5m', 'key="<F-USER>@<ip-host>"'])],
    () => ["usedns", random.pick(["yes", "warn", "no", "raw", "%(known/usedns)s"])],
    () => ["datepattern", list(random, name, ["^%%Y-%%m-%%d", "{^LN-BEG}", "%(known/datepattern)s", "EPOCH"])],
    () => ["maxlines", random.pick(["1", "5"])],
    () => ["journalmatch", list(random, name, [...journalMatches, "%(known/journalmatch)s"])],
    () => ["backend", random.pick(["auto", "polling", "systemd", "systemd"])],
    () => ["logencoding", random.pick(["utf-8", "ascii", "%(x)s"])],
    () => ["logtimezone", random.pick(["UTC", "UTC+0200", "CET"])],
    () => ["logpath", random.pick(["DIR/*.log", "DIR/two.log tail", "DIR/one.log\n  DIR/two.log head"])],
    () => ["action", list(random, name, actions)],
    () => ["banaction", random.pick(["iptables-multiport", "cmd", 'cmd[name=%(__name__)s, p="%(y)s"]'])],
    () => ["enabled", random.pick(["true", "true", "true", "false", "off", "maybe"])],
    () => ["filter", filterReference(random)],
  ];
  const count = first ? 4 + random.below(8) : random.below(6);
  const options = new Map(given);
  for (let index = 0; index < count; index += 1) {
    const [option, text] = random.pick(choices)();
    if (isDefault && option === "filter") continue;
    options.set(option, text);
  }
  return [...options];
}

const journalMatches = ["_SYSTEMD_UNIT=x.service", '_COMM="b c" + PRIORITY=3', "A=1 B='2 3'", 'C=a\\ b + D=""'];
const actions = [
  "%(action_)s",
  "cmd",
  'cmd[name=other, p="1, 2"]',
  "cmd[actname=third,\n    q=%(x)s]",
  "cmd[name=%(__name__)s-x][p='a \"b\"', q=<p>]",
  'iptables-multiport[actname=fw, port="%(port)s", blocktype=REJECT]',
  '%(banaction)s[actname=own, p="%(mode)s", port="0:65535"]',
];

function filterReference(random: Random): string {
  const options = [
    "mode=hard",
    'mode="%(mode)s"',
    "logtype=short",
    "x='<y>'",
    'y="<known/y>, %(y)s"',
    'failregex="^ref <HOST>$"',
    "maxlines=7",
    'prefregex="^r<F-CONTENT>.*</F-CONTENT>"',
    'datepattern="^%%Y"',
    "usedns=no",
    'journalmatch="R=1"',
    "_z=%(__name__)s",
    "q-1.2=5",
  ];
  const chosen = options.filter(() => random.below(9) === 0);
  const group = (some: readonly string[]) =>
    some.length === 0 ? "" : `[${some.join(random.pick([",", ", ", ",\n   "]))}]`;
  const cut = random.below(chosen.length + 1);
  return random.pick(filters) + group(chosen.slice(0, cut)) + group(chosen.slice(cut));
}

function filterFile(random: Random, first: boolean): string {
  const options = new Map<string, string>();
  const own = (option: string) => (first ? "" : `%(known/${option})s`);
  const choices: readonly (() => [string, string])[] = [
    () => [random.pick(names), value(random, "Definition", 2)],
    () => ["failregex", list(random, "Definition", [...regexes, own("failregex"), "<re-<mode>>", "^<x> <HOST> <_z>"])],
    () => ["ignoreregex", list(random, "Definition", ["^ign", "<y>", ""])],
    () => ["prefregex", "^<_pre>%(_z)s<F-CONTENT>.+</F-CONTENT>$"],
    () => ["maxlines", random.pick(["2", "10"])],
    () => ["usedns", random.pick(["yes", "no", "raw"])],
    () => ["datepattern", random.pick(["{^LN-BEG}", "<lt_<logtype>/date>", "^%%%%d", own("datepattern")])],
    () => ["journalmatch", list(random, "Definition", [...journalMatches, own("journalmatch")])],
    () => ["re-hard", list(random, "Definition", ["^hard <HOST>$", "%(re-soft)s", "<re-soft>"])],
    () => ["re-soft", list(random, "Definition", ["^soft <HOST>$", "^<known/x> <HOST>$", "^<Init/i> <HOST>"])],
    () => ["logtype", random.pick(["file", "short"])],
    () => ["bantime", value(random, "Definition", 1)],
  ];
  if (first) {
    options.set("failregex", list(random, "Definition", ["^<x> <HOST>$", "<re-<mode>>", "^own <HOST>$"]));
    options.set("re-soft", "^soft <HOST>$").set("re-hard", "^hard <y> <HOST>$\n %(re-soft)s").set("re-one", "");
    options
      .set("_z", "fz")
      .set("journalmatch", "F=1")
      .set("datepattern", "own")
      .set("ignoreregex", "^i")
      .set("usedns", "no");
    options.set("prefregex", "").set("maxlines", "2");
  }
  for (let count = (first ? 2 : 1) + random.below(5); count > 0; count -= 1) {
    const [option, text] = random.pick(choices)();
    options.set(option, text);
  }
  const parts = [
    ...(first || random.below(4) === 0 ? ["[INCLUDES]\nbefore = shared.conf\n"] : []),
    section(random, "Definition", [...options]),
    ...(first || random.below(3) === 0 ? [section(random, "Init", initOptions(random))] : []),
  ];
  return parts.join(gap(random));
}

function initOptions(random: Random): [string, string][] {
  const all: [string, string][] = [
    ["mode", random.pick(["soft", "hard", "none"])],
    ["x", random.pick(["ix", "<y>", "%(y)s<i>"])],
    ["y", random.pick(["iy", "iy2", "<mode>"])],
    ["i", random.pick(["ii", "i-<mode>", "%(y)s"])],
    ["maxlines", "3"],
  ];
  return all
    .filter(() => random.below(5) < 2)
    .concat([["y", "base"]])
    .filter(unlikeBefore);
}

function unlikeBefore(option: [string, string], index: number, all: readonly [string, string][]): boolean {
  return all.findIndex(([name]) => name === option[0]) === index;
}

function sharedFile(random: Random): string {
  const defaults: [string, string][] = [
    ["_pre", random.pick(["<lt_<logtype>/pre>", "pre", "%(_z)s"])],
    ["logtype", "file"],
    ["x", random.pick(["cx", "%(y)s"])],
    ["y", "cy"],
  ];
  return [
    section(random, "DEFAULT", defaults),
    section(random, "lt_file", [
      ["pre", random.pick(["\\S+ <x>: ", "F"])],
      ["date", "{^LN-BEG}"],
    ]),
    section(random, "lt_journal", [
      ["pre", ""],
      ["date", "{NONE}"],
    ]),
    section(random, "lt_short", [
      ["pre", "%(_pre-x)s"],
      ["_pre-x", "short"],
      ["date", "%%H"],
    ]),
  ].join(gap(random));
}

function actionFile(random: Random, first: boolean): string {
  const options: [string, string][] = [
    ["actionstart", random.pick(["", "echo <name> <actname> <p?x>"])],
    [
      "actionban",
      `${first ? "echo" : random.pick(["echo", "%(known/actionban)s\n "])} <ip> <p> <q> ${random.pick(["<bantime> <matches>", "<maxretry> <findtime>", "%(p)s"])}`,
    ],
    ["actionunban", random.pick(["echo <u>", "%(actionban)s", "<actionban>"])],
    ["norestored", random.pick(["1", "false", "<q>"])],
    ["actionflush", "cat < file > <p>"],
    ...(first
      ? []
      : ([
          ["actionstop", "echo %(known/actionstart)s"],
          ["actionprolong", "<known/actionban>"],
        ] as [string, string][])),
    ["u", random.pick(["<p>-<q>", "%(x)s", "u"])],
    ["x", "ax"],
    ["p", random.pick(["dp", "<q>"])],
  ];
  const parts = [
    section(
      random,
      "Definition",
      options.filter(() => first || random.below(3) === 0),
    ),
  ];
  if (first || random.below(2) === 0) {
    parts.push(
      section(random, "Init", [
        ["q", random.pick(["iq", "<x>", "%(p)s"])],
        ["p", random.pick(["ip", "v4"])],
      ]),
    );
    if (random.below(2) === 0)
      parts.push(
        section(random, "Init?family=inet6", [
          ["p", "v6"],
          ["q", "<p>"],
        ]),
      );
  }
  return parts.join(gap(random));
}

/** Several lines of one option, some of them empty or comments. */
function list(random: Random, where: string, choices: readonly string[]): string {
  const lines = Array.from({ length: 1 + random.below(3) }, () =>
    random.below(8) === 0 ? value(random, where, 2) : random.pick(choices),
  );
  const between = () => random.pick(["\n  ", "\n\t", "\n  # no\n  ", "\n\n  ", "\n    ; gone\n  ", " ; remark\n  "]);
  return lines.reduce((text, line) => (text === "" ? line : `${text}${between()}${line}`), "");
}

/** A value of words and references. */
function value(random: Random, where: string, most: number): string {
  const other = random.pick(where === "Definition" ? ["lt_file", "lt_short", "nowhere"] : ["a", "d-e", "nowhere"]);
  const pieces = [
    ...words,
    "%%",
    ...words,
    "%(x)s",
    "%(Y)s",
    "%(_z)s",
    "%(__name__)s",
    `%(known/${random.pick(names)})s`,
    `%(default/${random.pick(names)})s`,
    `%(${other}/${random.pick(names)})s`,
    "<x>",
    "<y>",
    "<known/y>",
    "<lt_<logtype>/pre>",
    "<<mode>>",
    "<nothing>",
  ];
  return Array.from({ length: 1 + random.below(most) }, () => random.pick(pieces)).join(random.pick(["", " "]));
}

function section(random: Random, name: string, options: readonly [string, string][]): string {
  const lines = options.map(([option, text]) => {
    const written = random.below(12) === 0 ? option.toUpperCase() : option;
    return `${written}${random.pick([" = ", "=", ": ", " : ", "  =\t"])}${text}\n${random.below(12) === 0 ? "# remark\n" : ""}`;
  });
  return `[${name}]\n${lines.join("")}`;
}

function gap(random: Random): string {
  return random.pick(["", "\n", "\n# between = 1\n\n", ";\n"]);
}
