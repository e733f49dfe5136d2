import { EDGE_LIST_CACHE_MS } from "../../shared/limits.ts";
import type { Env } from "../env.ts";
import type { KnownEdge } from "./edge_registry.ts";

/** The object that knows the edges. There is one. */
export function edgesObject(env: Env) {
  return env.EDGES.get(env.EDGES.idFromName("edges"));
}

let cached: { readonly at: number; readonly edges: KnownEdge[] } | undefined;

/** The edges that are there, at most EDGE_LIST_CACHE_MS old: for the path of every visitor. */
export async function liveEdges(env: Env): Promise<readonly KnownEdge[]> {
  const now = Date.now();
  if (cached === undefined || now - cached.at >= EDGE_LIST_CACHE_MS || now < cached.at) {
    cached = { at: now, edges: await edgesObject(env).live() };
  }
  return cached.edges;
}
