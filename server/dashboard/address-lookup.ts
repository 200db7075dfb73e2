/** Where an address is at home. Filled from data on this machine only; asking somebody else would tell them whom we ban. */
export type AddressLookup = (address: string) => AddressHome | null;
export type AddressHome = Readonly<{ country: string | null; asn: number | null; organisation: string | null }>;

/** No data package is installed: nothing is known, and pages leave the line out. */
export const noLookup: AddressLookup = () => null;
