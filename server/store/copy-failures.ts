import { type Net, parseAddress } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { ipv6Key } from "./address-key.ts";
import type { FailureRow } from "./failures.ts";

/** `PGCOPY\n\377\r\n\0`, flags, length of the extension. Source: PostgreSQL manual, COPY, "Binary Format". */
export const copyHeader = Buffer.concat([Buffer.from("PGCOPY\n\xff\r\n\0", "latin1"), Buffer.alloc(8)]);
/** Instead of a row's number of fields: there are no more. */
export const copyTrailer = Buffer.from([0xff, 0xff]);
const columns = 10;
/** Lengths of all fields, and those of fixed length: two dates, a key, an IPv6 address, a count. */
const fixedBytes = 2 + columns * 4 + 8 + 8 + 8 + 20 + 4;
/** A UTF-16 unit takes at most so many bytes in UTF-8. */
const bytesPerUnit = 3;
const shortLength = 24;
/** As the server's own headers number address families, whatever the machine's are. Source: utils/inet.h. */
const familyByte = { 4: 2, 6: 3 } as const;

/** The columns as the encoder below writes them. */
export const copyFailures =
  "copy failures (received_ms, at_ms, address_key, address, count, tenant, host, jail, weight, sample) from stdin (format binary)";

/**
 * Rows as PostgreSQL takes them without parsing any text; between `copyHeader` and `copyTrailer`, in as many parts as
 * one likes.
 *
 * @throws Fleet2banError `internal` for an address that is none
 */
export function encodeFailures(rows: readonly FailureRow[], receivedMs: number): Buffer {
  const texts = rows.reduce((sum, row) => sum + unitsOf(row), 0);
  const buffer = Buffer.allocUnsafe(rows.length * fixedBytes + texts * bytesPerUnit);
  let end = 0;
  for (const row of rows) {
    const address = row.read ?? parseAddress(row.address);
    if (address === undefined) throw new Fleet2banError("internal", `failures: "${row.address}" is not an address`);
    end = buffer.writeInt16BE(columns, end);
    end = putBigint(buffer, end, receivedMs);
    end = putBigint(buffer, end, row.atMs);
    end = putAddress(buffer, putKey(buffer, end, address), address);
    end = buffer.writeInt32BE(4, end);
    end = buffer.writeInt32BE(row.count, end);
    end = putText(buffer, end, row.tenant);
    end = putText(buffer, end, row.host);
    end = putText(buffer, end, row.jail);
    end = putText(buffer, end, row.weight);
    end = row.sample === null ? buffer.writeInt32BE(-1, end) : putText(buffer, end, row.sample);
  }
  return buffer.subarray(0, end);
}

function unitsOf({ tenant, host, jail, weight, sample }: FailureRow): number {
  return tenant.length + host.length + jail.length + weight.length + (sample?.length ?? 0);
}

/** Two halves: a BigInt of each date would cost more than all the rest. */
function putBigint(buffer: Buffer, at: number, value: number): number {
  const end = buffer.writeInt32BE(8, at);
  return buffer.writeUInt32BE(value >>> 0, buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), end));
}

function putText(buffer: Buffer, at: number, text: string): number {
  const bytes = text.length <= shortLength ? putShort(buffer, at + 4, text) : buffer.write(text, at + 4);
  buffer.writeInt32BE(bytes, at);
  return at + 4 + bytes;
}

/** Names are a few letters each; the way out to the encoder costs more than they do. */
function putShort(buffer: Buffer, at: number, text: string): number {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return buffer.write(text, at);
    buffer[at + index] = code;
  }
  return text.length;
}

function putKey(buffer: Buffer, at: number, address: Net): number {
  if (address.family === 4) return putBigint(buffer, at, address.value);
  return buffer.writeBigInt64BE(ipv6Key(address.value), buffer.writeInt32BE(8, at));
}

function putAddress(buffer: Buffer, at: number, address: Net): number {
  const bytes = address.prefix / 8;
  let end = buffer.writeInt32BE(4 + bytes, at);
  buffer[end] = familyByte[address.family];
  buffer[end + 1] = address.prefix;
  // Not a cidr.
  buffer[end + 2] = 0;
  buffer[end + 3] = bytes;
  end += 4;
  if (address.family === 4) return buffer.writeUInt32BE(address.value, end);
  return buffer.writeBigUInt64BE(
    address.value & 0xffff_ffff_ffff_ffffn,
    buffer.writeBigUInt64BE(address.value >> 64n, end),
  );
}
