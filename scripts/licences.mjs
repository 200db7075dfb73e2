// Which packages ended up in a bundle, and under which licences: what whoever passes the bundle on must pass on, too.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @param inputs  the paths of esbuild's metafile, and of whatever else was copied out of node_modules
 * @returns       one text: each package with its version, its licence's name and its licence's words
 */
export function licencesOf(root, inputs) {
  const folders = inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []);
  return [...new Set(folders)]
    .toSorted()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
      return `${name} ${version} (${license})\n\n${licenceText(join(root, folder), name, license)}\n`;
    })
    .join(`\n${"-".repeat(80)}\n\n`);
}

export function licenceText(folder, name, licence) {
  const file = readdirSync(folder).find((each) => /^licen[cs]e(\.(md|txt))?$/i.test(each));
  if (file !== undefined) return readFileSync(join(folder, file), "utf8").trim();
  const readme = join(folder, "README.md");
  const words = existsSync(readme) ? /^#+ *licen[cs]e\b.*?$(.*)/ims.exec(readFileSync(readme, "utf8"))?.[1] : undefined;
  // Its words are the same for everybody, and fleet2ban's own.
  if (words === undefined && licence === "Apache-2.0")
    return "The licence's words: /usr/share/common-licenses/Apache-2.0";
  if (words === undefined) throw new Error(`${name}: has neither a licence file nor a chapter of its README about it`);
  return words.trim();
}
