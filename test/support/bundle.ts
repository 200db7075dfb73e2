import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** `npm test` builds both programs once, for all of its files; they are started as they are installed. */
const builtFolder = process.env.FLEET2BAN_TEST_PROGRAMS;

/** The installed form of one program. */
export function buildBundle(program: "agent" | "server"): Disposable & Readonly<{ folder: string }> {
  if (builtFolder !== undefined) return { folder: join(builtFolder, program), [Symbol.dispose]: () => undefined };
  const { folder, [Symbol.dispose]: remove } = buildPrograms(program);
  return { folder: join(folder, program), [Symbol.dispose]: remove };
}

/** Built into a folder of its own inside dist/, so that packages are found from there; without a name, both. */
export function buildPrograms(...names: readonly ("agent" | "server")[]): Disposable & Readonly<{ folder: string }> {
  mkdirSync(join(root, "dist"), { recursive: true });
  const folder = mkdtempSync(join(root, "dist", "test-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const built = spawnSync(process.execPath, ["scripts/build.mjs", "--out", folder, ...names], {
    cwd: root,
    encoding: "utf8",
  });
  if (built.status !== 0) {
    remove();
    throw new Error(`the programs do not build:\n${built.stderr}`);
  }
  return { folder, [Symbol.dispose]: remove };
}

const installedNames: Readonly<Record<string, string>> = {
  "agent/main.ts": "agent/fleet2ban-agent.mjs",
  "server/main.ts": "server/fleet2ban-server.mjs",
  "server/cli/main.ts": "server/fleet2ban.mjs",
};

/** The built form of a program that is named by its source, where there is one. */
export function installedFile(file: string): string {
  const name = installedNames[file];
  return builtFolder === undefined || name === undefined ? file : join(builtFolder, name);
}
