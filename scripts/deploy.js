// @ts-check
/** `wrangler deploy`, after a look at what would go wrong silently. Arguments are handed on. */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { unstable_readConfig } from "wrangler";

const root = fileURLToPath(new URL("../", import.meta.url));
const args = process.argv.slice(2);
const { vars, routes = [] } = unstable_readConfig({ config: join(root, "wrangler.toml") });
const dry = args.includes("--dry-run");
const fault = faultOf(String(vars.SPANWAY_DOMAIN), routes);
if (fault !== undefined) {
  console.error(`${dry ? "warning" : "error"}: ${fault}\n  Correct it in wrangler.toml; docs/deploy.md says how.`);
  if (!dry) process.exit(1);
}
const wrangler = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin/wrangler.js");
const { status } = spawnSync(process.execPath, [wrangler, "deploy", ...args], { cwd: root, stdio: "inherit" });
process.exit(status ?? 1);

/**
 * What keeps a deployed service from working; undefined when nothing is seen.
 * @param {string} domain
 * @param {readonly (string | { pattern: string })[]} routes
 */
function faultOf(domain, routes) {
  if (domain === "localhost") return "SPANWAY_DOMAIN is still localhost, where nobody would find a share.";
  const patterns = routes.map((route) => typeof route === "string" ? route : route.pattern);
  const missing = [`${domain}/*`, `*.${domain}/*`].filter((pattern) => !patterns.includes(pattern));
  return missing.length === 0 ? undefined : `No route leads ${missing.join(" and ")} to the Worker.`;
}
