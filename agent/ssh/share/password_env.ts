import process from "node:process";

let taken: string | undefined;

/** What the environment says, taken out of it the first time: no program that is started from then on sees it. */
export function takePassword(env: NodeJS.ProcessEnv = process.env): string | undefined {
  taken ??= env.SPANWAY_SSH_PASSWORD || undefined;
  delete env.SPANWAY_SSH_PASSWORD;
  return taken;
}
