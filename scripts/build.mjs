// `npm run build`: what is installed on servers, in dist/. Bundles instead of thousands of modules: a fraction of the
// memory and of the start. What is read at run time lies beside them. `npm run build -- agent` builds one program.
import { cpSync, rmSync, writeFileSync } from "node:fs";
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

/**
 * TLS costs 7 MB from the moment it is loaded, so an agent loads it with the first encrypted line. What the agent and
 * its NATS client take from it is named here; esbuild refuses imports of anything else.
 */
const tlsWhenNeeded = {
  name: "tls-when-needed",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?tls$/ }, () => ({ path: "tls", namespace: "when-needed" }));
    onLoad({ filter: /.*/, namespace: "when-needed" }, () => ({
      contents: `
        const tls = () => process.getBuiltinModule("node:tls");
        export const connect = (...given) => tls().connect(...given);
        export const checkServerIdentity = (...given) => tls().checkServerIdentity(...given);
        export const setDefaultCACertificates = (...given) => tls().setDefaultCACertificates(...given);
        export const TLSSocket = { [Symbol.hasInstance]: (socket) => socket?.encrypted === true };`,
    }));
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
    plugins: [tlsWhenNeeded],
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
