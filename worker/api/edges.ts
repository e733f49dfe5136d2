import { Hono } from "hono";
import { ServiceError } from "../../shared/errors.ts";
import { checkName } from "../../shared/names.ts";
import type { TicketRole } from "../../shared/ticket/ticket.ts";
import { readTicket, requireServiceKey } from "../access.ts";
import type { Context } from "../context.ts";
import { edgesObject, liveEdge } from "../edges/edge_list.ts";
import { nameIndex } from "../names/name_index.ts";
import { unpack } from "../outcome.ts";
import { locateShare, registeredShare, shareObject } from "../share/shares.ts";
import { readObject } from "./body.ts";
import { badRequest, parseEdgeId, parseEdgeReport, textField } from "./input.ts";

/** What edges report and ask. All of it needs the service key. */
export const edges = new Hono<Context>();

edges.use(async (c, next) => {
  requireServiceKey(c.req.raw, c.env.settings);
  await next();
});

edges.put("/:id", async (c) => {
  const report = parseEdgeReport(await readObject(c.req.raw));
  unpack(await edgesObject(c.env.env).report(parseEdgeId(c.req.param("id")), report));
  return c.body(null, 204);
});

edges.get("/:id/shares/:name", async (c) => {
  const found = await locateShare(c.env.env, checkName(c.req.param("name")));
  c.header("cache-control", "no-store");
  return c.json(found);
});

edges.delete("/:id", async (c) => {
  const instance = textField(await readObject(c.req.raw), "instance");
  await edgesObject(c.env.env).remove(parseEdgeId(c.req.param("id")), instance);
  return c.body(null, 204);
});

edges.post("/:id/attach", async (c) => {
  const { env, settings } = c.env;
  const id = parseEdgeId(c.req.param("id"));
  const { instance, name, ticket } = await readHello(c.req.raw, "share");
  const edge = await liveEdge(env, { id, instance });
  if (edge === undefined) {
    throw new ServiceError("unavailable", `The edge ${id} has not reported since it started.`, {
      hint: "Report the edge first.",
    });
  }
  const share = await registeredShare(env, name);
  const ref = { id, instance, region: edge.region, origin: edge.origin };
  const { session, expiresAt } = unpack(await share.attach(ticket, ref, [...settings.origins]));
  return c.json({ session, expiresAt, name });
});

/**
 * A connecting agent said HELLO at an edge. Not rationed here: an edge has at most EDGE_PENDING_SESSIONS_MAX such questions
 * open, counts them by address, and asks only for shares that it has itself. Nothing is stored for a connector.
 */
edges.post("/:id/connect", async (c) => {
  const { env, settings } = c.env;
  const id = parseEdgeId(c.req.param("id"));
  const { instance, name, ticket } = await readHello(c.req.raw, "connect");
  const share = await registeredShare(env, name);
  const { session, expiresAt } = unpack(await share.admit(ticket, { id, instance }, [...settings.origins]));
  return c.json({ session, name, expiresAt, fingerprint: ticket.issuer });
});

edges.post("/:id/detach", async (c) => {
  const { env } = c.env;
  const id = parseEdgeId(c.req.param("id"));
  const body = await readObject(c.req.raw);
  const instance = textField(body, "instance");
  const name = checkName(textField(body, "name"));
  const session = textField(body, "session");
  const home = await nameIndex(env).find(name);
  if (home !== undefined) unpack(await shareObject(env, name, home).detach({ id, instance }, session));
  return c.body(null, 204);
});

/**
 * What an edge passes on of a HELLO. The ticket's audience is checked by the share: where no origins are configured, it
 * knows by which its owner came.
 * @throws {ServiceError} `bad-request`, {TicketError}
 */
async function readHello(request: Request, role: TicketRole) {
  const body = await readObject(request);
  const instance = textField(body, "instance");
  const name = checkName(textField(body, "name"));
  if (typeof body.ticket !== "string") throw badRequest("ticket is not a text");
  return { instance, name, ticket: await readTicket(body.ticket, { role, name }) };
}
