/** Runs `body` as if the machine stood in this zone: Node follows `TZ` while it runs. */
export function inTimezone(timezone: string, body: () => void): void {
  const before = process.env.TZ;
  process.env.TZ = timezone;
  try {
    body();
  } finally {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  }
}
