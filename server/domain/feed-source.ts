import { contains, type Net, overlaps, parseAddress, parseNet } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";

/** Where a list comes from: the web, or a file in the coordinator's own folder, for those without internet. */
export type FeedSource = Readonly<{ kind: "web"; url: URL }> | Readonly<{ kind: "file"; name: string }>;

const urlLengthMax = 500;
/** One file of one folder: a path could name anything the coordinator may read, and bad lines are shown. */
const filePattern = /^file:([A-Za-z0-9][A-Za-z0-9._-]{0,99})$/;

/** @throws Fleet2banError `invalid` with the remedy */
export function parseFeedSource(text: string): FeedSource {
  const invalid = (why: string): Fleet2banError =>
    new Fleet2banError("invalid", `source: "${text.slice(0, 100)}" ${why}`);
  const [, name] = filePattern.exec(text) ?? [];
  if (name !== undefined) return { kind: "file", name };
  if (text.startsWith("file:"))
    throw invalid("must be file:NAME, of a file in the folder `feeds` of the data directory");
  if (text.length > urlLengthMax || !URL.canParse(text)) throw invalid("is no URL; write https://… or file:NAME");
  const url = new URL(text);
  if (url.username !== "" || url.password !== "")
    throw invalid("must not hold a password: everybody who reads feeds sees it");
  // Whoever can change a list on its way can ban whom he likes.
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isThisMachine(url.hostname))) {
    throw invalid("must be https://…; http:// is for this machine only (127.0.0.1, [::1], localhost)");
  }
  const literal = addressOf(url.hostname);
  const why = literal === undefined ? undefined : whyNoTarget(literal, url.hostname);
  if (why !== undefined) throw invalid(why);
  return { kind: "web", url };
}

/** Where clouds answer whoever asks from inside, with keys; and what is no publisher's address. */
const neverTargets = [
  "169.254.0.0/16",
  "fe80::/10",
  "fd00:ec2::/32",
  "100.100.100.200",
  "192.0.0.192",
  "0.0.0.0/8",
  "::/128",
  "224.0.0.0/4",
  "ff00::/8",
];
const thisMachine = ["127.0.0.0/8", "::1/128"];
const netsOf = (texts: readonly string[]): readonly Net[] => texts.flatMap((text) => parseNet(text) ?? []);
const [never, loopback] = [netsOf(neverTargets), netsOf(thisMachine)];

/** Why a host with this address is not asked for a list, as the end of a sentence; undefined when it may be. */
export function whyNoTarget(address: Net, hostname: string): string | undefined {
  if (never.some((net) => overlaps(net, address))) return "leads to an address that is no publisher's";
  const isInside = loopback.some((net) => contains(net, address));
  if (isInside && !isThisMachine(hostname)) return "leads to this machine; write 127.0.0.1 if that is meant";
  return undefined;
}

function isThisMachine(hostname: string): boolean {
  if (hostname === "localhost") return true;
  const address = addressOf(hostname);
  return address !== undefined && loopback.some((net) => contains(net, address));
}

/** URLs write IPv6 in brackets. */
function addressOf(hostname: string): Net | undefined {
  return parseAddress(hostname.replace(/^\[(.*)\]$/, "$1"));
}
