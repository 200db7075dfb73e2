// `node --import ./scripts/quick-resolve.mjs PROGRAM`, for what is run from the sources again and again. For each module
// that ends in .js Node 24 parses the `exports` of its package.json, and the database layer has 180 kB of them beside
// 200 modules: 2 s of CPU for every start. Its modules name each other by file, so there is nothing to look up.
import { registerHooks } from "node:module";

registerHooks({
  resolve(specifier, context, nextResolve) {
    const isOwnFile = /^\.\.?\//.test(specifier) && context.parentURL?.includes("/node_modules/drizzle-orm/");
    if (!isOwnFile) return nextResolve(specifier, context);
    return { url: new URL(specifier, context.parentURL).href, format: "module", shortCircuit: true };
  },
});
