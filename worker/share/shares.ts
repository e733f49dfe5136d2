import { ServiceError } from "../../shared/errors.ts";
import { liveEdge } from "../edges/edge_list.ts";
import { isWorkerEdge } from "../edges/worker_edge.ts";
import type { Env } from "../env.ts";
import { nameIndex } from "../names/name_index.ts";
import type { NameHome } from "../names/name_records.ts";
import { namespaceIn } from "../placement/jurisdiction.ts";
import type { LocationHint } from "../placement/location_hint.ts";
import type { ShareLookup } from "./share_state.ts";

/**
 * The object of a share. Looking at it creates it: only for names that are registered or being registered.
 * @param hint where it is made, if it is
 * @throws {ServiceError} `bad-request` where there is no such jurisdiction
 */
export function shareObject(env: Env, name: string, home: NameHome, hint?: LocationHint) {
  const part = namespaceIn(env.SHARE, home.jurisdiction);
  return part.get(part.idFromName(name), hint === undefined ? {} : { locationHint: hint });
}

/** @throws {ServiceError} `share-unknown` */
export async function registeredShare(env: Env, name: string) {
  const home = await nameIndex(env).find(name);
  if (home !== undefined) return shareObject(env, name, home);
  throw new ServiceError("share-unknown", `There is no share named ${name}.`, {
    hint: "It was never registered, or has been over for long.",
  });
}

/** Where a share is now; `away` too when its edge is gone or has restarted since. */
export async function locateShare(env: Env, name: string): Promise<ShareLookup> {
  const home = await nameIndex(env).find(name);
  if (home === undefined) return { state: "unknown" };
  const found = await shareObject(env, name, home).lookup();
  if (found.state !== "attached" || isWorkerEdge(found.edge)) return found;
  return await liveEdge(env, found.edge) === undefined ? { state: "away" } : found;
}
