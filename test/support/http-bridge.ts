import { existsSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestHost } from "./namespaces.ts";
import { waitFor } from "./wait-for.ts";

/**
 * Makes a server inside a namespace reachable on this machine's loopback: a unix socket is the one thing both sides
 * share, since it does not belong to any network.
 */
export async function openBridge(
  place: TestHost,
  target: string,
  port: number,
  folder: string,
): Promise<AsyncDisposable & Readonly<{ url: string }>> {
  const socketPath = join(folder, "bridge.sock");
  const { hostname, port: targetPort } = new URL(target);
  const program = fileURLToPath(new URL("bridge-end.mjs", import.meta.url));
  const child = place.spawn([process.execPath, program, socketPath, hostname, targetPort], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  await waitFor(() => existsSync(socketPath), "the bridge");
  const open = new Set<Socket>();
  const server = createServer((outer) => {
    open.add(outer);
    outer.on("close", () => open.delete(outer));
    const inner = connect(socketPath);
    outer.pipe(inner).pipe(outer);
    outer.on("error", () => inner.destroy());
    inner.on("error", () => outer.destroy());
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address.port : port;
  return {
    url: `http://127.0.0.1:${bound}`,
    async [Symbol.asyncDispose]() {
      child.kill();
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
