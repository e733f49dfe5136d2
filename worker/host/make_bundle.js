// @ts-check
/**
 * Makes the Worker one file for workerd, `dist/worker.js`. Plain JavaScript, because the launcher does it too, in Node and
 * before the agent is fenced in.
 */
import { readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Folders and files that the bundle is made of, with those under them. */
const SOURCES = ["worker", "shared", "package.json"];
/** Parts of them that run elsewhere. */
const NOT_BUNDLED = new Set([join(ROOT, "worker/edge"), join(ROOT, "worker/host"), join(ROOT, "shared/transport")]);

/**
 * The path of the bundle, made anew with esbuild where that is installed and the bundle is missing or older than its
 * sources. Undefined when there is neither a bundle nor esbuild.
 * @returns {string | undefined}
 * @throws {Error} esbuild's, when the sources are broken
 */
export function makeBundle() {
  const bundle = join(ROOT, "dist/worker.js");
  const madeAt = modifiedAt(bundle);
  const sources = SOURCES.map((source) => join(ROOT, source)).filter((path) => modifiedAt(path) !== undefined);
  if (madeAt !== undefined && (sources.length < SOURCES.length || madeAt >= newest(sources))) return bundle;
  const esbuild = loadEsbuild();
  if (esbuild === undefined) return madeAt === undefined ? undefined : bundle;
  // Several processes may do this at once: each makes its own file, and the last rename wins.
  const draft = join(ROOT, `dist/worker.${crypto.randomUUID()}.js`);
  try {
    esbuild.buildSync({
      entryPoints: [join(ROOT, "worker/main.ts")],
      outfile: draft,
      bundle: true,
      format: "esm",
      target: "es2024",
      platform: "neutral",
      mainFields: ["module", "main"],
      conditions: ["workerd", "worker", "browser"],
      external: ["cloudflare:*"],
      legalComments: "none",
      logLevel: "silent",
    });
    renameSync(draft, bundle);
  } finally {
    rmSync(draft, { force: true });
    void esbuild.stop();
  }
  return bundle;
}

/** @returns {typeof import("esbuild") | undefined} */
function loadEsbuild() {
  try {
    return createRequire(import.meta.url)("esbuild");
  } catch {
    return undefined;
  }
}

/**
 * Unix milliseconds of the youngest file that goes into the bundle.
 * @param {readonly string[]} paths
 */
function newest(paths) {
  let latest = 0;
  for (const path of paths) {
    if (NOT_BUNDLED.has(path) || path.endsWith("_test.ts")) continue;
    const inside = statSync(path).isDirectory() ? readdirSync(path).map((name) => join(path, name)) : undefined;
    latest = Math.max(latest, inside === undefined ? modifiedAt(path) ?? 0 : newest(inside));
  }
  return latest;
}

/** @param {string} path */
function modifiedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}
