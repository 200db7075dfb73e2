import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The installed form of one program, built into a folder of its own inside dist/, so that packages are found from there. */
export function buildBundle(program: "agent" | "server"): Disposable & Readonly<{ folder: string }> {
  mkdirSync(join(root, "dist"), { recursive: true });
  const out = mkdtempSync(join(root, "dist", "test-"));
  const remove = () => rmSync(out, { recursive: true, force: true });
  const built = spawnSync(process.execPath, ["scripts/build.mjs", "--out", out, program], {
    cwd: root,
    encoding: "utf8",
  });
  if (built.status !== 0) {
    remove();
    throw new Error(`the ${program} does not build:\n${built.stderr}`);
  }
  return { folder: join(out, program), [Symbol.dispose]: remove };
}
