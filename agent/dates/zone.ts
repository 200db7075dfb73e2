import { Fleet2banError } from "../../shared/errors.ts";

/**
 * Minutes east of UTC for the zone abbreviations fail2ban knows, the single military letters included. Fixed: `CET`
 * is never `CEST`. Some abbreviations are ambiguous in the world (`CST`, `IST`); fail2ban's choice is kept, because the
 * same log must give the same times.
 */
const abbreviations = new Map<string, number>();
const abbreviationsByHours: Readonly<Record<string, string>> = {
  "-12": "Y",
  "-11": "X NUT SST",
  "-10": "W CKT HAST HST TAHT TKT",
  "-9.5": "MART MIT",
  "-9": "V AKST GAMT GIT HADT HNY",
  "-8": "U AKDT CIST HAY HNP PST PT",
  "-7": "T HAP HNR MST PDT",
  "-6": "S CST EAST GALT HAR HNC MDT",
  "-5": "R CDT COT EASST ECT EST ET HAC HNE PET",
  "-4.5": "HLV VET",
  "-4": "Q AST BOT CLT COST EDT FKT GYT HAE HNA PYT",
  "-3.5": "HNT NST NT",
  "-3": "P ADT ART BRT CLST FKST GFT HAA PMST PYST SRT UYT WGT",
  "-2.5": "HAT NDT",
  "-2": "O BRST FNT PMDT UYST WGST",
  "-1": "N AZOT CVT EGT",
  "0": "Z EGST GMT UTC WET WT",
  "1": "A CET DFT WAT WEDT WEST",
  "2": "B CAT CEDT CEST EET SAST WAST",
  "3": "C EAT EEDT EEST IDT MSK",
  "3.5": "IRST",
  "4": "D AMT AZT GET GST KUYT MSD MUT RET SAMT SCT",
  "4.5": "AFT IRDT",
  "5": "E AMST AQTT AZST HMT MAWT MVT PKT TFT TJT TMT UZT YEKT",
  "5.5": "SLT",
  "5.75": "NPT",
  "6": "F ALMT BIOT BTT IOT KGT NOVT OMST YEKST",
  "6.5": "CCT MMT",
  "7": "G CXT DAVT HOVT ICT KRAT NOVST OMSST THA WIB",
  "8": "H ACT AWST BDT BNT CAST HKT IRKT KRAST MYT PHT SGT ULAT WITA WST",
  "9": "I AWDT IRKST JST KST PWT TLT WDT WIT YAKT",
  "9.5": "ACST",
  "10": "K AEST PGT VLAT YAKST YAPT",
  "10.5": "ACDT LHST",
  "11": "L AEDT LHDT MAGT NCT PONT SBT VLAST VUT",
  "11.5": "NFT",
  "12": "M ANAST ANAT FJT GILT MAGST MHT NZST PETST PETT TVT WFT",
  "13": "FJST NZDT",
};
for (const [hours, names] of Object.entries(abbreviationsByHours)) {
  for (const name of names.split(" ")) abbreviations.set(name, Number(hours) * 60);
}

/**
 * Minutes east of UTC of a zone as logs and `logtimezone` write it: `Z`, `CET`, `+0200`, `-03:30`, `UTC+01`. An
 * abbreviation and an offset are added. Undefined when it is none of these (fail2ban then rejects the whole date).
 */
export function zoneMinutes(text: string): number | undefined {
  const parts = /^([A-Z](?:[A-Z]{2,4})?)?(?:([+-])([01]\d)(?::?(\d\d))?)?$/.exec(text);
  if (parts === null) return undefined;
  const [, name, sign, hours, minutes = "0"] = parts;
  const base = name === undefined ? 0 : abbreviations.get(name);
  if (base === undefined || hours === undefined) return base;
  const offset = Number(hours) * 60 + Number(minutes);
  return base + (sign === "-" ? -offset : offset);
}

/** Reads a jail's `logtimezone`. @throws Fleet2banError `invalid` for anything but a fixed offset or abbreviation */
export function parseLogTimezone(text: string): number {
  const minutes = zoneMinutes(text);
  if (minutes !== undefined) return minutes;
  throw new Fleet2banError(
    "invalid",
    `logtimezone: "${text}" is not a fixed zone; write UTC+0200, -0330 or an abbreviation such as CET, ` +
      "or remove the option to use this machine's own zone with its summer time",
  );
}
