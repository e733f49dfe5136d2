import type * as Esbuild from "esbuild";
import { readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { errorMessage, SpanwayError } from "../../shared/errors.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Folders and files that the bundle is made of, with those under them. */
const SOURCES = ["worker", "shared", "package.json"];
/** Parts of them that run elsewhere. */
const NOT_BUNDLED = new Set([join(ROOT, "worker/edge"), join(ROOT, "worker/host"), join(ROOT, "shared/transport")]);

/**
 * The path of the Worker as one file for workerd: `dist/worker.js`. A checkout makes it with esbuild when it is missing
 * or older than its sources; a published package brings it along.
 * @throws {SpanwayError} `worker-missing`, `worker-broken`
 */
export function bundleWorker(): string {
  const bundle = join(ROOT, "dist/worker.js");
  const madeAt = modifiedAt(bundle);
  const esbuild = loadEsbuild();
  if (esbuild === undefined) {
    if (madeAt !== undefined) return bundle;
    throw new SpanwayError("worker-missing", "The service's program (dist/worker.js) is missing.", {
      hint: "Install spanway again; in a checkout, run `npm install` with the development packages.",
    });
  }
  if (madeAt !== undefined && madeAt >= newest(SOURCES.map((source) => join(ROOT, source)))) return bundle;
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
  } catch (cause) {
    rmSync(draft, { force: true });
    throw new SpanwayError("worker-broken", `The Worker cannot be bundled: ${errorMessage(cause)}`, { cause });
  }
  return bundle;
}

function loadEsbuild(): typeof Esbuild | undefined {
  try {
    return createRequire(import.meta.url)("esbuild");
  } catch {
    return undefined;
  }
}

/** Unix milliseconds of the youngest file that goes into the bundle. */
function newest(paths: readonly string[]): number {
  let latest = 0;
  for (const path of paths) {
    if (NOT_BUNDLED.has(path) || path.endsWith("_test.ts")) continue;
    const inside = statSync(path).isDirectory() ? readdirSync(path).map((name) => join(path, name)) : undefined;
    latest = Math.max(latest, inside === undefined ? modifiedAt(path) ?? 0 : newest(inside));
  }
  return latest;
}

function modifiedAt(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}
