/** What the launcher has found out for the agent (agent/bin/surroundings.js). */
import process from "node:process";
import type { Surroundings } from "./bin/surroundings.js";

export type { Surroundings };

/** What there is for a static IP, as the launcher has found out; undefined where it did not look. */
export function launchedTun(env: NodeJS.ProcessEnv = process.env): Surroundings["tun"] {
  return env.SPANWAY_LAUNCHER === undefined ? undefined : launched(env).tun;
}

/**
 * What this process was told by its launcher.
 * @throws {TypeError} when it was started without one
 */
export function launched(env: NodeJS.ProcessEnv = process.env): Surroundings {
  const text = env.SPANWAY_LAUNCHER;
  if (text === undefined) throw new TypeError("the agent was started without its launcher");
  return JSON.parse(text);
}
