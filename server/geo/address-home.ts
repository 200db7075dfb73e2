/** Where an address is at home, from data on this machine only: asking somebody else would tell them whom we ban. */
export type AddressHome = Readonly<{
  /** ISO 3166, two letters. */
  country: string | null;
  asn: number | null;
  /** Who announces the network, in the words of the data. */
  organisation: string | null;
}>;

/** What is known of the data, for whoever reads what it says. */
export type HomeSource = Readonly<{
  of: "country" | "network owner";
  /** A package's or a file's name. */
  name: string;
  licence: string | null;
  /** Whom the licence asks us to name wherever the data is shown. */
  credits: readonly Readonly<{ name: string; url: string }>[];
  /** The day the data was made, `2026-06-17`. */
  dated: string | null;
  /** Why it cannot be asked, and the remedy. */
  problem: string | null;
}>;

export type AddressHomes = Readonly<{
  /** @param net  canonical; of a network, its first address counts */
  homeOf(net: string): AddressHome;
  /** None for what is switched off. */
  sources(): readonly HomeSource[];
}>;

/** Both switched off. */
export const noHomes: AddressHomes = {
  homeOf: () => ({ country: null, asn: null, organisation: null }),
  sources: () => [],
};
