import { Hono } from "hono";
import type { Context } from "../context.ts";
import { liveEdges } from "../edges/edge_list.ts";
import { VERSION } from "../version.ts";

/** Versions of the session protocol that this service speaks. */
const PROTOCOLS = [1] as const;

/** What anybody may know about the service. Agents learn its clock from `now`. */
export const service = new Hono<Context>();

service.get("/", async (c) => {
  const { env, settings } = c.env;
  const edges = await liveEdges(env);
  c.header("cache-control", "no-store");
  return c.json({
    service: "spanway",
    version: VERSION,
    protocols: PROTOCOLS,
    now: Date.now(),
    domain: settings.domain,
    edges: edges.length,
  });
});
