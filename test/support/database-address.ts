import { createHash } from "node:crypto";

/**
 * Where test files find the keeper of their PostgreSQL: an abstract socket, which is gone the moment its process is.
 * One per user and checkout.
 */
export function keeperAddress(): string {
  const checkout = createHash("sha256")
    .update(import.meta.dirname)
    .digest("hex")
    .slice(0, 12);
  return `\0fleet2ban-test-database-${process.getuid?.() ?? 0}-${checkout}`;
}
