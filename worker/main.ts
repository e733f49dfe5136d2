import { handle } from "./app.ts";
import type { Env } from "./env.ts";

/** The Worker: entry point and Durable Object classes. Runs on Cloudflare and in workerd alike. */
export { Edges } from "./edges/edges_object.ts";
export { Names } from "./names/names_object.ts";
export { Share } from "./share/share_object.ts";

export default {
  fetch: (request, env) => handle(request, env),
} satisfies ExportedHandler<Env>;
