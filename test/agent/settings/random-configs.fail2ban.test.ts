import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { parseIni, type Section } from "../../../agent/settings/ini.ts";
import { interpolate } from "../../../agent/settings/interpolate.ts";
import { loadSettings } from "../../../agent/settings/load-settings.ts";
import { askFail2ban, withoutFail2ban } from "../fail2ban-oracle.ts";
import { seededRandom } from "../filters/seeded-random.ts";
import { compare, services } from "./compare-settings.ts";
import { type Dump, takeAll } from "./oracle.ts";
import { randomConfig } from "./random-configs.ts";

/** Configurations compared; 400 take some six seconds. Others: FLEET2BAN_CONFIGS=5000. */
const configs = Number(process.env["FLEET2BAN_CONFIGS"] ?? 400);
const iniTexts = 10 * configs;

/** What `fail2ban-client -d` prints, for many directories by one process and with every jail on its own. */
const readJails = `
import json, logging, signal, sys
from fail2ban.client.jailsreader import JailsReader
from fail2ban.client.jailreader import JailReader
logging.disable(logging.CRITICAL)
def late(*_): raise RuntimeError("values that double each other are not stopped")
signal.signal(signal.SIGALRM, late)
def ask(folder):
    share = {}
    reader = JailsReader(share_config=share, basedir=folder)
    reader.read()
    commands = []
    for name in reader.sections():
        if name == "INCLUDES": continue
        jail = JailReader(name, share_config=share, use_config=reader._cfg)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            if not jail.getOptions() or jail.isEnabled(): commands += jail.convert(allow_no_files=True)
        except Exception as error: commands.append(["config-error", "Jail '%s' %r" % (name, error)])
        signal.setitimer(signal.ITIMER_REAL, 0)
    return commands
print(json.dumps([ask(folder) for folder in json.load(sys.stdin)]))
`;

const readTexts = `
import json, logging, sys
from fail2ban.client.configparserinc import SafeConfigParserWithIncludes
logging.disable(logging.CRITICAL)
def value(parser, section, option):
    try: return parser.get(section, option)
    except Exception: return None
def ask(file):
    parser = SafeConfigParserWithIncludes()
    try: parser.read(file, get_includes=False)
    except Exception: return None
    raw = [["DEFAULT", parser._defaults]] + [[name, parser._sections[name]] for name in parser.sections()]
    own = lambda options: [option for option in options if option != "__name__"]
    return [[name, [[option, text[option], value(parser, name, option)] for option in own(text)]] for name, text in raw]
print(json.dumps([ask(file) for file in json.load(sys.stdin)]))
`;

describe("fail2ban and we, configuration by configuration", { skip: withoutFail2ban }, () => {
  test("make the same jails of random configurations, and refuse the same ones", (context) => {
    const root = mkdtempSync(join(tmpdir(), "fleet2ban-random-"));
    try {
      const dirs = Array.from({ length: configs }, (_, seed) => join(root, String(seed)));
      for (const [seed, dir] of dirs.entries()) writeConfig(dir, seed);
      const answers = askFail2ban(readJails, dirs, "UTC") as unknown[][][];
      let run = 0;
      let refused = 0;
      for (const [seed, dir] of dirs.entries()) {
        const commands = answers[seed] ?? [];
        const settings = loadSettings(dir, { services, hasJournal: false });
        const dumps = takeAll(commands);
        for (const [name, dump] of dumps) {
          // A jail that is off hurts nobody here; fail2ban gives up on all jails for what its filter option says.
          const isOff = [...settings.jails, ...settings.broken].every((jail) => jail.name !== name);
          const fault = faultOf(name, dump, commands);
          if ((fault !== undefined && isOff) || fault === "its own") dumps.delete(name);
          else if (fault !== undefined) dumps.set(name, { ...dump, error: fault });
        }
        const compared = {
          ...settings,
          jails: settings.jails.filter((jail) => dumps.has(jail.name)),
          broken: settings.broken.filter((jail) => dumps.has(jail.name)),
        };
        compare(compared, dumps);
        run += compared.jails.length;
        refused += compared.broken.length;
      }
      context.diagnostic(`${run} jails run, ${refused} are refused`);
      assert.ok(run > configs && refused > configs / 4, `only ${run} jails run and ${refused} are refused`);
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  test("read the same sections and values in random texts, and refuse the same ones", (context) => {
    const root = mkdtempSync(join(tmpdir(), "fleet2ban-texts-"));
    try {
      const texts = randomTexts(iniTexts);
      const files = texts.map((text, index) => {
        const file = join(root, `${index}.conf`);
        writeFileSync(file, text);
        return file;
      });
      const answers = askFail2ban(readTexts, files, "UTC") as unknown[];
      for (const [index, text] of texts.entries())
        assert.deepEqual(readText(text), answers[index], JSON.stringify(text));
      const read = answers.filter((answer) => answer !== null).length;
      context.diagnostic(`${read} of ${texts.length} texts can be read`);
      assert.ok(read > texts.length / 8, `only ${read} texts can be read`);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

function writeConfig(dir: string, seed: number): void {
  for (const [name, text] of Object.entries(randomConfig(seed))) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text.replaceAll("DIR", dir));
  }
}

/** Why fail2ban refuses a jail; `its own` for a mistake that is fail2ban's, not the configuration's. */
function faultOf(name: string, dump: Dump, commands: readonly (readonly unknown[])[]): string | undefined {
  if (dump.error !== undefined) return dump.error.includes("TypeError") ? "its own" : dump.error;
  const added = commands.flatMap(([verb, jail, what, action]) =>
    verb === "set" && jail === name && what === "addaction" ? [action] : [],
  );
  // Its reader lets this pass; its server answers "already exists".
  return new Set(added).size < added.length ? "an action stands twice" : undefined;
}

const pieces = [
  ..."[]=:;#%()aB",
  ...["[s]", "[t]", "[DEFAULT]", "[s?c=d]", " = ", "\n", "\n", "\n", "\r\n", "\r", " ", "  ", "\t", " ;", " #", "%%"],
  ...["%(a)s", "%(b)s", "%(t/a)s", "%(known/a)s", "%(default/a)s", "%(__name__)s", "%(A)s", "%()s", ")s"],
  ...["é", "ß", "\u00a0", "\u3000", "\v", "\f", "x\ny = 1\n  z", "\na = ", "\nb = ", "\n  c", "\n\n\n", "\n[s]\n"],
];

function randomTexts(count: number): string[] {
  const random = seededRandom(5);
  return Array.from({ length: count }, () => {
    const text = Array.from({ length: random.below(24) }, () => random.pick(pieces)).join("");
    return random.below(4) === 0 ? text : `[s]\na = 1\n${text}`;
  });
}

/** Sections with their options, as written and as resolved; null = refused. */
function readText(text: string): unknown {
  let ini: ReturnType<typeof parseIni>;
  try {
    ini = parseIni(text, "a.conf");
  } catch {
    return null;
  }
  const resolved = (section: string, option: string) => {
    try {
      return interpolate({ ...ini, known: new Map() }, section, option) ?? null;
    } catch {
      return null;
    }
  };
  const read = ([name, options]: readonly [string, Section]) => [
    name,
    [...options].map(([option, { text: written }]) => [option, written, resolved(name, option)]),
  ];
  return [["DEFAULT", ini.defaults] as const, ...ini.sections].map(read);
}
