import { EDGE_LIST_CACHE_MS } from "../../shared/limits.ts";
import type { Env } from "../env.ts";
import type { KnownEdge } from "./edge_registry.ts";

/** The object that knows the edges. There is one. */
export function edgesObject(env: Env) {
  return env.EDGES.get(env.EDGES.idFromName("edges"));
}

let cached: { readonly at: number; readonly edges: readonly KnownEdge[] } | undefined;

/** The edges that are there, at most EDGE_LIST_CACHE_MS old: for the path of every visitor. */
export async function liveEdges(env: Env): Promise<readonly KnownEdge[]> {
  const now = Date.now();
  if (cached === undefined || now - cached.at >= EDGE_LIST_CACHE_MS || now < cached.at) return await refresh(env);
  return cached.edges;
}

/** One boot of an edge if it is there; one that is not in the list yet is asked for again. */
export async function liveEdge(env: Env, boot: { readonly id: string; readonly instance: string }) {
  const find = (edges: readonly KnownEdge[]) =>
    edges.find(({ id, instance }) => id === boot.id && instance === boot.instance);
  return find(await liveEdges(env)) ?? find(await refresh(env));
}

async function refresh(env: Env): Promise<readonly KnownEdge[]> {
  const at = Date.now();
  const edges: readonly KnownEdge[] = await edgesObject(env).live();
  cached = { at, edges };
  return edges;
}
