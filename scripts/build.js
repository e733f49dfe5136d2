// @ts-check
/**
 * Makes what the published package runs: `dist/agent.js` (the agent, for Node and for Deno, as nothing under node_modules
 * may be TypeScript) with the parts it loads on demand beside it, and `dist/worker.js` (the Worker). npm packages stay
 * outside: they are dependencies. Also `dist/workerd/`, which is all that workerd needs to be a service by itself.
 */
import { Buffer } from "node:buffer";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { makeBundle } from "../worker/host/make_bundle.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");

mkdirSync(dist, { recursive: true });

/**
 * Sources find files of the package by their own place. In the bundle they all are one level below the root, so what was
 * `import.meta.url` becomes the URL that the source would have had.
 * @type {import("esbuild").Plugin}
 */
const keepUrls = {
  name: "keep-urls",
  setup({ onLoad }) {
    onLoad({ filter: /\.[jt]s$/ }, ({ path }) => {
      if (path.includes(`${sep}node_modules${sep}`)) return undefined;
      const text = readFileSync(path, "utf8");
      if (!text.includes("import.meta.url")) return undefined;
      const place = JSON.stringify(`../${relative(root, path).split(sep).join("/")}`);
      return {
        contents: text.replaceAll("import.meta.url", `new URL(${place}, import.meta.url).href`),
        loader: path.endsWith(".ts") ? "ts" : "js",
      };
    });
  },
};

const { metafile } = await build({
  entryPoints: [join(root, "agent", "main.ts")],
  outdir: dist,
  entryNames: "agent",
  chunkNames: "agent-[name]-[hash]",
  bundle: true,
  splitting: true,
  packages: "external",
  // In a bundle, imports of packages run before all code of the parts that import them. What must run before a package
  // is loaded therefore goes into the entry.
  inject: [join(root, "worker", "edge", "reflect_metadata.ts")],
  format: "esm",
  platform: "node",
  target: "node20",
  legalComments: "none",
  logLevel: "warning",
  metafile: true,
  plugins: [keepUrls],
});
const made = new Set(Object.keys(metafile.outputs).map((path) => basename(path)));
// Parts of an earlier build go last: what runs meanwhile still finds them.
for (const file of readdirSync(dist)) {
  if (/^agent\b.*\.js$/.test(file) && !made.has(file)) rmSync(join(dist, file));
}
const bytes = Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, 0);
console.log(`dist/agent.js and ${Object.keys(metafile.outputs).length - 1} parts: ${Math.round(bytes / 1024)} KiB`);

const worker = makeBundle();
if (worker === undefined) throw new Error("dist/worker.js could not be made");
console.log(relative(root, worker));

const { plainConfig } = await load(join(root, "worker", "host", "plain_config.ts"));
const plain = join(dist, "workerd");
mkdirSync(plain, { recursive: true });
copyFileSync(worker, join(plain, "worker.js"));
writeFileSync(join(plain, "config.capnp"), plainConfig());
console.log(`${relative(root, plain)}: for workerd by itself`);

/**
 * A module of ours that imports nothing at run time but others of that kind.
 * @param {string} path
 */
async function load(path) {
  const { outputFiles } = await build({
    entryPoints: [path],
    bundle: true,
    format: "esm",
    platform: "node",
    write: false,
  });
  const [file] = outputFiles;
  return await import(`data:text/javascript;base64,${Buffer.from(file?.contents ?? []).toString("base64")}`);
}
