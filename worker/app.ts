import { Hono } from "hono";
import { audiences, showsServiceKey } from "./access.ts";
import { agents } from "./api/agents.ts";
import { edges } from "./api/edges.ts";
import { errorJson, errorResponse } from "./api/errors.ts";
import { service } from "./api/service.ts";
import { shares } from "./api/shares.ts";
import type { Context } from "./context.ts";
import type { Env } from "./env.ts";
import { addressee } from "./host.ts";
import { landing } from "./pages/landing.ts";
import { problemResponse } from "./pages/problem_response.ts";
import { readSettings, type Settings } from "./settings.ts";
import { visit } from "./visitor/visitor.ts";

/** The service at its bare domain: the API in JSON, and a page for people. */
const app = new Hono<Context>();

app.route("/api/service", service);
app.route("/api/shares", shares);
app.route("/api/edges", edges);
app.route("/", agents);
app.get("/health", (c) => c.text("ok\n"));
app.get("/", (c) => {
  const { settings } = c.env;
  return landing(audiences(c.req.raw, settings)[0] ?? new URL(c.req.url).origin, settings);
});
app.notFound((c) =>
  c.req.path.startsWith("/api/")
    ? errorJson(404, { code: "not-found", message: "The API has no such call.", hint: undefined })
    : problemResponse("not-found", c.req.raw)
);
app.onError((error, c) =>
  c.req.path.startsWith("/api/") ? errorResponse(error) : problemResponse("internal", c.req.raw)
);

/** Every request comes in here: visitors of shares by their Host, everything else for the service itself. */
export async function handle(request: Request, env: Env): Promise<Response> {
  const api = new URL(request.url).pathname.startsWith("/api/");
  try {
    return await dispatch(request, env, settingsOf(env), api);
  } catch (error) {
    const answer = errorResponse(error);
    return api ? answer : problemResponse("internal", request);
  }
}

/** The settings of this Worker: it has one environment as long as it lives. */
const checked = new WeakMap<Env, Settings>();

function settingsOf(env: Env): Settings {
  let known = checked.get(env);
  if (known === undefined) checked.set(env, known = readSettings(env));
  return known;
}

async function dispatch(request: Request, env: Env, settings: Settings, api: boolean): Promise<Response> {
  const to = addressee(request.headers.get("host") ?? new URL(request.url).host, settings);
  switch (to.kind) {
    case "share":
      return await visit(request, to, env, settings);
    case "nobody":
      return problemResponse("share-unknown", request, to.host);
    case "malformed":
      return problemResponse("bad-request", request);
    case "foreign":
      // Edges reach the Worker by whatever address it has.
      if (showsServiceKey(request, settings)) break;
      if (!api) return problemResponse("misdirected", request);
      return errorJson(421, {
        code: "misdirected",
        message: `This service does not know itself by the name ${to.host}.`,
        hint: `Reach it as ${settings.domain}, or add the address to its SPANWAY_ORIGINS.`,
      });
    case "service":
  }
  return await app.fetch(request, { env, settings });
}
