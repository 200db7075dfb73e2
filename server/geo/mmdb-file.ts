import { readFileSync } from "node:fs";
import { Reader, type Response } from "mmdb-lib";
import { z } from "zod";
import type { AddressHome } from "./address-home.ts";

/** MaxMind's own layout, and the flat one of ip-location-db. */
const Entry = z.object({
  country_code: z.string().optional(),
  country: z.object({ iso_code: z.string().optional() }).optional().catch(undefined),
  registered_country: z.object({ iso_code: z.string().optional() }).optional(),
  autonomous_system_number: z.number().optional(),
  autonomous_system_organization: z.string().optional(),
});

export type MmdbFile = Readonly<{ find(address: string): AddressHome; dated: string }>;

/**
 * A file in MaxMind's DB format, held in memory: 8 MB for the countries of the world.
 *
 * @throws what node:fs throws, and an Error when it is no such file
 */
export function openMmdb(file: string): MmdbFile {
  const reader = new Reader<Response>(readFileSync(file));
  return {
    dated: reader.metadata.buildEpoch.toISOString().slice(0, 10),
    find(address) {
      const entry = Entry.safeParse(reader.get(address)).data;
      const country = entry?.country_code ?? entry?.country?.iso_code ?? entry?.registered_country?.iso_code;
      return {
        country: country !== undefined && /^[A-Z]{2}$/.test(country) ? country : null,
        asn: entry?.autonomous_system_number ?? null,
        organisation: entry?.autonomous_system_organization ?? null,
      };
    },
  };
}
