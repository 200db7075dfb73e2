import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { formatAddress, type Net, parseNet } from "../../shared/address.ts";
import { messageOf } from "../../shared/errors.ts";
import type { AddressHome, AddressHomes, HomeSource } from "./address-home.ts";
import { type MmdbFile, openMmdb } from "./mmdb-file.ts";
import { findRange } from "./range-file.ts";

/** `auto`: the data package, where it is installed. Otherwise `off`, or a file in MaxMind's DB format. */
export type AddressDataSettings = Readonly<{ country: string; networkOwner: string }>;

const countryPackage = "@ip-location-db/geo-whois-asn-country-mmdb";
const ownerPackage = "@ip-location-db/asn";
const nro = { name: "Number Resource Organization (CC BY 4.0)", url: "https://www.nro.net" };
const countryCredits = [nro];
const ownerCredits = [
  { name: "IP Geolocation by DB-IP (CC BY 4.0)", url: "https://db-ip.com" },
  { name: "Route Views (CC BY 4.0)", url: "https://www.routeviews.org" },
  nro,
];

type Found = Partial<AddressHome>;
type Source = Readonly<{ find(net: Net): Found; about(): HomeSource }>;

/** Opens nothing yet: the first question does, and a file that changes is opened anew. */
export function openAddressHomes({ country, networkOwner }: AddressDataSettings): AddressHomes {
  const sources = [
    ...sourceOf("country", country, countryPackageSource),
    ...sourceOf("network owner", networkOwner, ownerPackageSource),
  ];
  return {
    homeOf(text) {
      const net = parseNet(text);
      const found = net === undefined ? [] : sources.map((source) => source.find(net));
      const none = { country: null, asn: null, organisation: null };
      return Object.assign(none, ...found);
    },
    sources: () => sources.map((source) => source.about()),
  };
}

function sourceOf(of: HomeSource["of"], setting: string, ofPackage: () => Source): Source[] {
  if (setting === "off") return [];
  return [setting === "auto" ? ofPackage() : mmdbSource(of, setting, { name: basename(setting), ...unsaid })];
}

const unsaid = { licence: null, credits: [] };

function countryPackageSource(): Source {
  const folder = folderOf(countryPackage);
  if (folder === undefined) return missing("country", countryPackage);
  const { licence } = aboutPackage(folder);
  const file = join(folder, "geo-whois-asn-country.mmdb");
  return mmdbSource("country", file, { name: countryPackage, licence, credits: countryCredits });
}

function ownerPackageSource(): Source {
  const folder = folderOf(ownerPackage);
  if (folder === undefined) return missing("network owner", ownerPackage);
  const { licence, dated } = aboutPackage(folder);
  let problem: string | null = null;
  return {
    about: () => ({ of: "network owner", name: ownerPackage, licence, credits: ownerCredits, dated, problem }),
    find({ family, value }) {
      try {
        const found = findRange(join(folder, `asn-ipv${family}-num.csv`), BigInt(value));
        problem = null;
        return found ?? {};
      } catch (error) {
        problem = unreadable(folder, error);
        return {};
      }
    },
  };
}

function mmdbSource(
  of: HomeSource["of"],
  file: string,
  about: Pick<HomeSource, "name" | "licence" | "credits">,
): Source {
  let opened: Readonly<{ mmdb: MmdbFile; changedMs: number }> | undefined;
  let problem: string | null = null;
  const open = (): MmdbFile | undefined => {
    try {
      const { mtimeMs } = statSync(file);
      if (opened?.changedMs !== mtimeMs) opened = { mmdb: openMmdb(file), changedMs: mtimeMs };
      problem = null;
      return opened.mmdb;
    } catch (error) {
      problem = unreadable(file, error);
      return undefined;
    }
  };
  return {
    about() {
      const dated = open()?.dated ?? null;
      return { of, ...about, dated, problem };
    },
    find(net) {
      const { country, asn, organisation } = open()?.find(formatAddress(net)) ?? {};
      return of === "country" ? { country: country ?? null } : { asn: asn ?? null, organisation: organisation ?? null };
    },
  };
}

function unreadable(file: string, error: unknown): string {
  return `${file}: cannot be read (${messageOf(error)}); see addressData in the coordinator's settings`;
}

function missing(of: HomeSource["of"], name: string): Source {
  const problem = `${name} is not installed: npm install ${name}, or name a file of your own (addressData in the settings)`;
  return { find: () => ({}), about: () => ({ of, name, licence: null, credits: [], dated: null, problem }) };
}

/** Beside the program where it is installed as a bundle; otherwise where npm put it. */
function folderOf(name: string): string | undefined {
  const bundled = fileURLToPath(new URL(`./address-data/${basename(name)}`, import.meta.url));
  if (existsSync(bundled)) return bundled;
  try {
    return dirname(fileURLToPath(import.meta.resolve(`${name}/package.json`)));
  } catch {
    return undefined;
  }
}

const Package = z.object({ license: z.string().nullable().catch(null), version: z.string().catch("") });

/** The packages carry their day in their version: `2.3.2026061719`. */
function aboutPackage(folder: string): Readonly<{ licence: string | null; dated: string | null }> {
  try {
    const { license, version } = Package.parse(JSON.parse(readFileSync(join(folder, "package.json"), "utf8")));
    const [, year, month, day] = /\.(\d{4})(\d\d)(\d\d)\d*$/.exec(version) ?? [];
    const licence = license?.includes("CC-BY-4.0") === true ? "CC-BY-4.0" : license;
    return { licence, dated: year === undefined ? null : `${year}-${month}-${day}` };
  } catch {
    return { licence: null, dated: null };
  }
}
