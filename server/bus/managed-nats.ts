import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Account } from "./account.ts";
import { operatorJwt, systemAccountJwt } from "./jwt.ts";
import type { BusKeys } from "./keys.ts";
import { type NatsSettings, natsConfig, natsEnvironment } from "./nats-config.ts";

/** What the managed child is started with: its folder, its configuration with the account as it then is, its environment. */
export function managedNats(
  place: Readonly<{ dataDir: string; host: string }> & Pick<NatsSettings, "tls" | "websocket">,
  keys: BusKeys,
  account: Account,
): Readonly<{ dir: string; config: (port: number) => string; env: Readonly<Record<string, string>> }> {
  const dir = join(place.dataDir, "nats");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return {
    dir,
    env: natsEnvironment,
    config: (port) => {
      forgetOtherAccounts(join(dir, "jwt"), [account.publicKey, keys.systemAccount.publicKey]);
      return natsConfig({
        host: place.host,
        port,
        dataDir: dir,
        managed: { pidFile: join(dir, "nats.pid"), portsDir: dir },
        operatorJwt: operatorJwt(keys, Date.now()),
        systemAccount: { publicKey: keys.systemAccount.publicKey, jwt: systemAccountJwt(keys, Date.now()) },
        account: { publicKey: account.publicKey, jwt: account.jwt },
        tls: place.tls,
        websocket: place.websocket,
      });
    },
  };
}

/** An account whose key was replaced would live on in the server's folder, and let everybody in who has its credentials. */
function forgetOtherAccounts(dir: string, known: readonly string[]): void {
  if (!existsSync(dir)) return;
  for (const name of readdirSync(dir)) {
    if (name.endsWith(".jwt") && !known.includes(name.slice(0, -".jwt".length))) rmSync(join(dir, name));
  }
}
