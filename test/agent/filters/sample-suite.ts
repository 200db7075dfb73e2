import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { sampleLogDirectory } from "../fail2ban-oracle.ts";

/** One annotated line of fail2ban's own sample logs, for one filter with one set of options. */
export type Sample = Readonly<{
  place: string;
  /** Directory whose `filter.d` holds the filter. */
  configDir: string;
  /** `sshd[mode="aggressive"]` */
  reference: string;
  /** Samples of one instance share a filter and its memory. */
  instance: string;
  line: string;
  /** The time came with the line. */
  journal: boolean;
  expected: Readonly<Record<string, unknown>>;
}>;

const stockConfigDir = "/etc/fail2ban";
const testConfigDir = join(sampleLogDirectory, "../../config");
/** fail2ban's test filters include stock files by this path, which holds in its source tree only. */
const testFilterDepth = "1/2/3/4/5/6";

const JsonObject = z.record(z.string(), z.unknown());
type JsonObject = z.infer<typeof JsonObject>;

export type SampleSuite = Disposable & Readonly<{ samples: readonly Sample[] }>;

/** Every sample of every filter that this machine's fail2ban package brings. */
export function openSampleSuite(): SampleSuite {
  const root = mkdtempSync(join(tmpdir(), "fleet2ban-samples-"));
  const ownConfigDir = join(root, testFilterDepth);
  cpSync(join(testConfigDir, "filter.d"), join(ownConfigDir, "filter.d"), { recursive: true });
  cpSync(join(stockConfigDir, "filter.d"), join(root, "config/filter.d"), { recursive: true });
  const stock = filterNames(stockConfigDir, (name) => !name.endsWith("common"));
  const own = filterNames(ownConfigDir, (name) => name.startsWith("zzz-"));
  const samples = [
    ...stock.flatMap((name) => readSamples(name, stockConfigDir)),
    ...own.flatMap((name) => readSamples(name, ownConfigDir)),
  ];
  return { samples, [Symbol.dispose]: () => rmSync(root, { recursive: true }) };
}

function filterNames(configDir: string, wanted: (name: string) => boolean): string[] {
  const names = readdirSync(join(configDir, "filter.d")).flatMap((file) =>
    file.endsWith(".conf") ? [file.slice(0, -".conf".length)] : [],
  );
  return names.filter(wanted).toSorted();
}

type Instance = Readonly<{ key: string; options: JsonObject }>;

function readSamples(name: string, configDir: string): Sample[] {
  const samples: Sample[] = [];
  const files = [name];
  let common: JsonObject = {};
  let instances: Instance[] = [];
  for (let fileIndex = 0; fileIndex < files.length; fileIndex += 1) {
    const file = join(sampleLogDirectory, files[fileIndex] ?? "");
    if (!existsSync(file)) return samples;
    let ignoring = false;
    const lines = readFileSync(file, "utf8").split(/\r?\n/);
    for (let index = 0; index < lines.length; index += 1) {
      let line = lines[index] ?? "";
      let expected: JsonObject = {};
      const [, kind, json] = /^#+ ?(failJSON|fileOptions|filterOptions|addFILE):(.+)$/.exec(line) ?? [];
      if (kind === "addFILE") files.push(z.string().parse(JSON.parse(json ?? "")));
      else if (kind === "fileOptions") common = JsonObject.parse(JSON.parse(json ?? ""));
      else if (kind === "filterOptions") {
        const parsed: unknown = JSON.parse(json ?? "");
        const all = z.array(JsonObject).parse(Array.isArray(parsed) ? parsed : [parsed]);
        const merged = all.map((each) => ({ ...common, ...each }));
        ignoring = !merged.every((each) => conditionHolds(each["test.condition"], name, each));
        if (!ignoring) instances = merged.map((options) => ({ key: instanceKey(name, options), options }));
      } else if (kind === "failJSON") {
        expected = JsonObject.parse(JSON.parse(json ?? ""));
        index += 1;
        line = lines[index] ?? "";
      } else if (line.startsWith("#") || line.trim() === "") continue;
      if ((kind !== undefined && kind !== "failJSON") || ignoring) continue;
      if (instances.length === 0) instances = [{ key: name, options: {} }];
      for (const { key, options } of instances) {
        if (!conditionHolds(expected["constraint"], name, options)) continue;
        samples.push({
          place: `${files[fileIndex]}:${index + 1}`,
          configDir,
          reference: referenceOf(name, options),
          instance: `${configDir} ${key}`,
          line: `${String(options["test.prefix-line"] ?? "")}${line}`,
          journal: options["logtype"] === "journal",
          expected,
        });
      }
    }
  }
  return samples;
}

function instanceKey(name: string, options: JsonObject): string {
  return `${name}${String(options["test.filter-name"] ?? JSON.stringify(filterOptions(options)))}`;
}

function filterOptions(options: JsonObject): [string, unknown][] {
  return Object.entries(options).filter(([key]) => !key.startsWith("test."));
}

function referenceOf(name: string, options: JsonObject): string {
  const texts = filterOptions(options).map(([key, value]) => `${key}="${String(value)}"`);
  return texts.length === 0 ? name : `${name}[${texts.join(", ")}]`;
}

/** The two forms of Python expression that the samples use. */
function conditionHolds(condition: unknown, name: string, options: JsonObject): boolean {
  if (condition === undefined) return true;
  const text = String(condition);
  const [, wantedName] = /^name ?== ?'(\w+)'$/.exec(text) ?? [];
  if (wantedName !== undefined) return wantedName === name;
  const [, option = "", operator, value] = /^opts\.get\('(\w+)'\) (==|!=) '(\w+)'$/.exec(text) ?? [];
  if (operator === undefined) throw new Error(`unknown condition in a sample file: ${text}`);
  return (options[option] === value) === (operator === "==");
}
