/** Where agents, and devices that connect, come to the object of a share by WebSocket. */
import { Hono } from "hono";
import {
  AUDIENCE_HEADER,
  INTERNAL_HEADER_PREFIX,
  SESSION_HEADER,
  VISITOR_HEADER,
} from "../../shared/internal_headers.ts";
import { checkName } from "../../shared/names.ts";
import { audiences, visitorAddress } from "../access.ts";
import type { Context } from "../context.ts";
import { AGENT_PATHS, agentSocket } from "../relay/agent_socket.ts";
import { registeredShare } from "../share/shares.ts";
import { errorJson, errorResponse } from "./errors.ts";
import { badRequest } from "./input.ts";

export const agents = new Hono<Context>();

agents.on("GET", AGENT_PATHS, async (c) => {
  const { env, settings } = c.env;
  const request = c.req.raw;
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    const hint = "This is no page: `spanway share` and `spanway connect` come here.";
    return errorJson(426, { code: "bad-request", message: "Agents come here by WebSocket.", hint });
  }
  if (!settings.objectsAttach) {
    return errorJson(421, {
      code: "misdirected",
      message: "Agents of this service attach at its edges.",
      hint: "Start spanway again: it asks the service where to go.",
    });
  }
  if (agentSocket(request) === undefined) throw badRequest("it is no WebSocket of an agent");
  const name = checkName(request.headers.get(SESSION_HEADER) ?? "");
  const share = await registeredShare(env, name);
  const headers = new Headers(request.headers);
  for (const key of [...headers.keys()]) if (key.startsWith(INTERNAL_HEADER_PREFIX)) headers.delete(key);
  headers.set(SESSION_HEADER, name);
  const [audience] = audiences(request, settings);
  if (audience !== undefined) headers.set(AUDIENCE_HEADER, audience);
  const address = visitorAddress(request, settings);
  if (address !== undefined) headers.set(VISITOR_HEADER, address);
  return await share.fetch(new Request(request, { headers }));
});

agents.onError((error) => errorResponse(error));
