// `npm run build`: what is installed on servers, in dist/. Bundles instead of thousands of modules: a fraction of the
// memory and of the start. What is read at run time lies beside them. `npm run build -- agent` builds one program.
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { licencesOf } from "./licences.mjs";

const root = dirname(import.meta.dirname);
const at = (...names) => join(root, ...names);

// Dependencies that are CommonJS call `require` for Node's own modules.
const requireBanner =
  'import{createRequire as nodeRequire}from"node:module";const require=nodeRequire(import.meta.url);';
const options = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  platform: "node",
  format: "esm",
  target: "node24",
  // The licences are all in licences.txt; comments of that kind stay beside the bundle as well.
  legalComments: "linked",
  metafile: true,
  outExtension: { ".js": ".mjs" },
  banner: { js: requireBanner },
  // Loaded by pg only where somebody has compiled it.
  external: ["pg-native"],
  logLevel: "warning",
};

/** What an idle agent does not need is loaded by the first call of one of its functions: TLS alone costs 7 MB. */
const loadedWhenCalled = new Set(["tls", "zlib", "dns", "dns/promises", "v8"]);
/** What is no function there, as the agent and its NATS client use it. */
const otherExports = {
  tls: "export const TLSSocket = { [Symbol.hasInstance]: (socket) => socket?.encrypted === true };",
};

/**
 * Node's own modules, each export on its own. An `import` of the whole module reads every export, and some of those
 * load more when they are read: `fs` loads readline and `util` worker_threads, 3 MB in all.
 */
const builtins = {
  name: "builtins",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?[a-z0-9_/]+$/ }, ({ path, kind }) => {
      if (!isBuiltin(path)) return undefined;
      const name = path.replace(/^node:/, "");
      const whole = kind === "require-call" && !loadedWhenCalled.has(name);
      return { path: name, namespace: whole ? "builtin-whole" : "builtin", sideEffects: false };
    });
    onLoad({ filter: /.*/, namespace: "builtin-whole" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule("node:${path}");`,
    }));
    onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => {
      const module = process.getBuiltinModule(`node:${path}`);
      const names = Object.keys(module).filter((name) => name !== "default");
      if (!loadedWhenCalled.has(path)) {
        const rows = names.map((name) => `export const ${name} = /* @__PURE__ */ exported("${name}");`);
        return {
          contents: `const exported = (name) => process.getBuiltinModule("node:${path}")[name];\n${rows.join("\n")}`,
        };
      }
      const functions = names.filter((name) => typeof module[name] === "function" && /^[a-z]/.test(name));
      const rows = functions.map((name) => `export const ${name} = (...given) => module().${name}(...given);`);
      const lines = [
        `const module = () => process.getBuiltinModule("node:${path}");`,
        ...rows,
        otherExports[path] ?? "",
      ];
      return { contents: lines.join("\n") };
    });
  },
};

/** The agent signs with Node's own Ed25519; what the NATS client would sign with is never called. */
const leftOut = {
  name: "left-out",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@nats-io\/nkeys$/ }, ({ path, importer }) =>
      importer.includes("/nats-core/") ? { path, namespace: "left-out" } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "left-out" }, () => ({ contents: "module.exports = {};" }));
  },
};

const { values, positionals } = parseArgs({
  options: { out: { type: "string", default: at("dist") } },
  allowPositionals: true,
});
const out = (...names) => join(values.out, ...names);
const wanted = positionals.length === 0 ? ["agent", "server"] : positionals;
if (wanted.includes("agent")) await buildAgent();
if (wanted.includes("server")) await buildServer();

async function buildAgent() {
  rmSync(out("agent"), { recursive: true, force: true });
  const { metafile } = await build({
    ...options,
    entryPoints: { "fleet2ban-agent": at("agent/main.ts") },
    outdir: out("agent"),
    // Each command loads its own part only: what reads configurations is no burden to an agent that runs for months.
    splitting: true,
    plugins: [builtins, leftOut],
    // Nothing is left to `require`.
    banner: {},
    // One module of the NATS client asks for random digits there and has its own; the first look at it loads WebCrypto.
    define: { "globalThis.crypto": "globalThis.noCrypto" },
  });
  writeLicences(out("agent"), Object.keys(metafile.inputs));
  copy("agent/settings/built-in", out("agent/built-in"));
  copy("agent/packaging", out("agent/packaging"));
}

async function buildServer() {
  rmSync(out("server"), { recursive: true, force: true });
  const { metafile } = await build({
    ...options,
    entryPoints: { "fleet2ban-server": at("server/main.ts"), fleet2ban: at("server/cli/main.ts") },
    outdir: out("server"),
  });
  copy("migrations", out("server/migrations"));
  copy("server/dashboard/assets", out("server/assets"));
  const assets = ["htmx.org/dist/htmx.min.js", "uplot/dist/uPlot.iife.min.js", "uplot/dist/uPlot.min.css"].map(
    (asset) => fileURLToPath(import.meta.resolve(asset)),
  );
  for (const asset of assets) cpSync(asset, out("server/assets", basename(asset)));
  const fromAssets = assets.map((asset) => relative(root, asset));
  writeLicences(out("server"), [...Object.keys(metafile.inputs), ...fromAssets]);
  copyAddressData("@ip-location-db/geo-whois-asn-country-mmdb", ["geo-whois-asn-country.mmdb", "NRO_LICENSE"]);
  const licences = ["DBIP-LICENSE", "MODIFICATIONS", "NRO_LICENSE", "ROUTEVIEWS-LICENSE"];
  copyAddressData("@ip-location-db/asn", ["asn-ipv4-num.csv", "asn-ipv6-num.csv", ...licences]);
  copy("server/packaging", out("server/packaging"));
}

/** Countries and network owners: 40 MB of files the coordinator reads a few bytes of; without the packages it says so. */
function copyAddressData(name, files) {
  let folder;
  try {
    folder = dirname(fileURLToPath(import.meta.resolve(`${name}/package.json`)));
  } catch {
    process.stderr.write(`${name} is not installed: the bundle goes without\n`);
    return;
  }
  for (const file of ["package.json", ...files]) {
    cpSync(join(folder, file), out("server/address-data", basename(name), file));
  }
}

function writeLicences(folder, inputs) {
  writeFileSync(join(folder, "licences.txt"), licencesOf(root, inputs));
}

function copy(from, to) {
  cpSync(at(from), to, { recursive: true });
}
