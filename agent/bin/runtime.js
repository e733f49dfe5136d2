// @ts-check
/** Finds what the launcher starts: the Deno binary of the npm package `deno`, and the agent's entry. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, isAbsolute, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's root directory. */
export const packageRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** npm's names for Deno's platforms. There is no build for musl: starting this one fails there, and Node takes over. */
const DENO_PLATFORMS = {
  "linux x64": "linux-x64-glibc",
  "linux arm64": "linux-arm64-glibc",
  "darwin x64": "darwin-x64",
  "darwin arm64": "darwin-arm64",
  "win32 x64": "win32-x64",
  "win32 arm64": "win32-arm64",
};

/**
 * The Deno binary in its platform package: no install script has to have run, and no second Node process is in between.
 * @returns {string | undefined} absolute path
 */
export function findDeno() {
  const name = platformValue(DENO_PLATFORMS);
  return name && findBinary("deno", `@deno/${name}`, process.platform === "win32" ? "deno.exe" : "deno");
}

const WORKERD_PLATFORMS = {
  "linux x64": "linux-64",
  "linux arm64": "linux-arm64",
  "darwin x64": "darwin-64",
  "darwin arm64": "darwin-arm64",
  "win32 x64": "windows-64",
};

/**
 * The workerd binary, where somebody installed it.
 * @returns {string | undefined} absolute path
 */
export function findWorkerd() {
  const name = platformValue(WORKERD_PLATFORMS);
  const file = process.platform === "win32" ? "bin/workerd.exe" : "bin/workerd";
  return name && findBinary("workerd", `@cloudflare/workerd-${name}`, file);
}

/**
 * The agent's entry for Deno: the sources in a checkout, the bundle in an installed package (nothing under
 * node_modules may be TypeScript). For Node: always the bundle.
 * @param {"deno" | "node"} runtime
 */
export function agentEntry(runtime) {
  const source = join(packageRoot, "agent", "main.ts");
  const installed = packageRoot.split(sep).includes("node_modules");
  return runtime === "deno" && !installed && existsSync(source) ? source : join(packageRoot, "dist", "agent.js");
}

/**
 * A program in the PATH.
 * @param {string} name
 * @returns {string | undefined} absolute path
 */
export function findInPath(name) {
  const file = process.platform === "win32" ? `${name}.exe` : name;
  const dirs = (process.env.PATH ?? "").split(delimiter).filter(isAbsolute);
  return dirs.map((dir) => join(dir, file)).find(existsSync);
}

/** @param {Record<string, string>} platforms */
function platformValue(platforms) {
  return platforms[`${process.platform} ${process.arch}`];
}

/**
 * @param {string} wrapper the package that depends on the platform package
 * @param {string} platformPackage
 * @param {string} file path inside it
 */
function findBinary(wrapper, platformPackage, file) {
  try {
    // Resolved from the wrapper's own place: with strict package managers only it can see its platform package.
    const require = createRequire(createRequire(import.meta.url).resolve(`${wrapper}/package.json`));
    const path = join(dirname(require.resolve(`${platformPackage}/package.json`)), file);
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}
