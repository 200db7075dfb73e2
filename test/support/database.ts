import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { pino } from "pino";
import { openStore, type Store } from "../../server/store/open-store.ts";
import { keeperAddress } from "./database-address.ts";

/** initdb on a busy two-core machine takes some ten seconds. */
const serverMs = 90_000;
const silent = pino({ level: "silent" });

/** One connection for the life of this process: when the last one ends, however it ends, the server goes too. */
let server: Promise<string> | undefined;

/** The address of a fresh, empty database on the one PostgreSQL that all running test files share. */
export async function freshDatabaseUrl(): Promise<string> {
  server ??= reachServer();
  const address = new URL(await server);
  const name = `test_${randomBytes(6).toString("hex")}`;
  const client = new pg.Client({ connectionString: address.href });
  await client.connect();
  try {
    await client.query(`create database ${name}`);
  } finally {
    await client.end();
  }
  address.pathname = `/${name}`;
  return address.href;
}

/** A store of its own on a fresh, migrated database; the caller closes it. */
export async function freshStore(): Promise<Store> {
  return openStore({ url: await freshDatabaseUrl(), log: silent });
}

async function reachServer(): Promise<string> {
  const deadline = performance.now() + serverMs;
  let isStarted = false;
  while (performance.now() < deadline) {
    const url = await ask();
    if (url !== undefined) return url;
    if (!isStarted) {
      // A second one started at the same moment finds the address taken and leaves.
      const keeper = join(import.meta.dirname, "database-keeper.ts");
      const flags = ["--disable-warning=ExperimentalWarning", keeper];
      spawn(process.execPath, flags, { detached: true, stdio: "ignore", cwd: "/" }).unref();
      isStarted = true;
    }
    await sleep(50);
  }
  throw new Error("the tests' PostgreSQL did not start; run test/support/database-keeper.ts by hand to see why");
}

/** The keeper answers with the server's address once it runs, and watches the connection from then on. */
async function ask(): Promise<string | undefined> {
  const socket: Socket = connect(keeperAddress());
  try {
    await once(socket, "connect");
    let answer = "";
    for await (const chunk of socket.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
      answer += String(chunk);
      if (answer.endsWith("\n")) break;
    }
    if (!answer.endsWith("\n")) return undefined;
    socket.on("error", () => undefined);
    socket.resume();
    socket.unref();
    return answer.trim();
  } catch {
    socket.destroy();
    return undefined;
  }
}
