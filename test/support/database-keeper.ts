// A process of its own that runs one PostgreSQL for all test files and ends, with everything it made, when the last of
// them has gone: also after a failed or killed test run nothing stays behind.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { startPostgres } from "../../server/embedded/postgres.ts";
import { keeperAddress } from "./database-address.ts";

/** Long enough for the next test file to start, short enough that nobody finds us lying about. */
const lingerMs = 4_000;

const users = new Set<Socket>();
let goodbye: NodeJS.Timeout | undefined;
const started = Promise.withResolvers<string>();

const door = createServer((socket) => {
  users.add(socket);
  clearTimeout(goodbye);
  socket.on("error", () => undefined);
  socket.once("close", () => {
    users.delete(socket);
    if (users.size === 0) goodbye = setTimeout(leave, lingerMs);
  });
  socket.resume();
  started.promise.then(
    (url) => socket.write(`${url}\n`),
    () => socket.destroy(),
  );
});
const postgres = Promise.withResolvers<{ stop(): Promise<void> }>();

door.once("error", () => process.exit(0));
door.listen(keeperAddress(), () => void open());

async function open(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "fleet2ban-test-"));
  chmodSync(dataDir, 0o711);
  try {
    // Tests may lose what a power cut would lose.
    const settings = { fsync: "off", full_page_writes: "off", max_connections: "200" };
    const running = await startPostgres({ dataDir, log: pino({ level: "warn" }, process.stderr), settings });
    postgres.resolve({
      stop: async () => {
        await running.stop();
        rmSync(dataDir, { recursive: true, force: true });
      },
    });
    started.resolve(running.url);
    if (users.size === 0) goodbye = setTimeout(leave, lingerMs);
  } catch (error) {
    console.error(error);
    rmSync(dataDir, { recursive: true, force: true });
    process.exit(1);
  }
}

function leave(): void {
  door.close();
  void postgres.promise.then(async (running) => {
    await running.stop();
    process.exit(0);
  });
}
