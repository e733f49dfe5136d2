import { ServiceError } from "../../shared/errors.ts";
import { liveEdge } from "../edges/edge_list.ts";
import type { Env } from "../env.ts";
import { nameIndex } from "../names/name_index.ts";
import type { ShareLookup } from "./share_state.ts";

/** The object of a share. Looking at it creates it: only for names that are registered or being registered. */
export function shareObject(env: Env, name: string) {
  return env.SHARE.get(env.SHARE.idFromName(name));
}

/** @throws {ServiceError} `share-unknown` */
export async function registeredShare(env: Env, name: string) {
  if (await nameIndex(env).has(name)) return shareObject(env, name);
  throw new ServiceError("share-unknown", `There is no share named ${name}.`, {
    hint: "It was never registered, or has been over for long.",
  });
}

/** Where a share is now; `away` too when its edge is gone or has restarted since. */
export async function locateShare(env: Env, name: string): Promise<ShareLookup> {
  if (!(await nameIndex(env).has(name))) return { state: "unknown" };
  const found = await shareObject(env, name).lookup();
  if (found.state !== "attached" || await liveEdge(env, found.edge) !== undefined) return found;
  return { state: "away" };
}
