// @ts-check
/**
 * Where spanway keeps its key and its memory. Plain JavaScript, because the launcher (any Node, nothing built) and the
 * agent both need the same answer.
 */
import { join, resolve } from "node:path";

/**
 * The configuration directory: SPANWAY_HOME, or the platform's usual place.
 * @param {Record<string, string | undefined>} env
 * @param {string} platform as in `process.platform`
 * @returns {string | undefined} an absolute path, or undefined when the environment names no home at all
 */
export function homeDir(env, platform) {
  if (env.SPANWAY_HOME) return resolve(env.SPANWAY_HOME);
  if (platform === "win32") {
    const base = env.APPDATA || (env.USERPROFILE && join(env.USERPROFILE, "AppData", "Roaming"));
    return base ? resolve(base, "spanway") : undefined;
  }
  if (env.XDG_CONFIG_HOME) return resolve(env.XDG_CONFIG_HOME, "spanway");
  if (!env.HOME) return undefined;
  return platform === "darwin"
    ? resolve(env.HOME, "Library", "Application Support", "spanway")
    : resolve(env.HOME, ".config", "spanway");
}
