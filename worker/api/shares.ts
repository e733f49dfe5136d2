import { base64urlnopad } from "@scure/base";
import { Hono } from "hono";
import type { EdgeInfo } from "../../shared/edge_info.ts";
import { ServiceError } from "../../shared/errors.ts";
import { SHARE_EDGES_MAX } from "../../shared/limits.ts";
import { checkName } from "../../shared/names.ts";
import type { TicketClaims } from "../../shared/ticket/ticket.ts";
import { audiences, requestTicket, visitorAddress } from "../access.ts";
import type { Context } from "../context.ts";
import type { Env } from "../env.ts";
import { edgeInfo } from "../edges/edge_registry.ts";
import { edgesObject, liveEdge } from "../edges/edge_list.ts";
import { isWorkerEdge, workerEdgeInfo } from "../edges/worker_edge.ts";
import { shareUrl } from "../host.ts";
import { nameIndex } from "../names/name_index.ts";
import { unpack } from "../outcome.ts";
import { choosePlace, toldPlace } from "../placement/choose_place.ts";
import { namespaceIn } from "../placement/jurisdiction.ts";
import type { EdgeRef } from "../share/share_record.ts";
import { registeredShare, shareObject } from "../share/shares.ts";
import { readObject } from "./body.ts";
import { parseJurisdiction, parseSshClaim, parseSshKey, parseWish } from "./input.ts";

/** What devices ask of the service about their shares, and about those that they connect to. */
export const shares = new Hono<Context>();

shares.post("/", async (c) => {
  const { env, settings } = c.env;
  const ticket = await requestTicket(c.req.raw, { role: "share" }, settings);
  const body = await readObject(c.req.raw);
  const wish = parseWish(body);
  const wanted = parseJurisdiction(body);
  const known = edgesObject(env);
  const live = unpack(await known.admit(ticket.issuer, visitorAddress(c.req.raw, settings)));
  const edges = live.length === 0 && settings.objectsAttach
    ? [workerEdgeInfo(ticket.audience)]
    : live.slice(0, SHARE_EDGES_MAX).map(edgeInfo);
  if (edges.length === 0) {
    throw new ServiceError("unavailable", "No edge of this service is running.", { hint: "Try again in a moment." });
  }
  // First what the platform has: whether the name is free is none of the business of whoever asks for something else.
  namespaceIn(env.SHARE, wanted);
  const { home, hint, near } = choosePlace(ticket.name, wanted, await nameIndex(env).ask(ticket.name), c.req.raw.cf);
  const share = shareObject(env, ticket.name, home, hint);
  const claimed = unpack(await share.claim(ticket, near === undefined ? wish : { ...wish, near }, home));
  await known.registered(ticket.issuer);
  return c.json(
    {
      name: ticket.name,
      url: shareUrl(ticket.name, ticket.audience, settings),
      expiresAt: claimed.expiresAt,
      edges,
      place: toldPlace(home, claimed.near),
    },
    claimed.created ? 201 : 200,
  );
});

shares.get("/:name", async (c) => {
  const { ticket, share } = await owned(c.req.raw, c.req.param("name"), c.env);
  const { attachment, state, ...status } = unpack(await share.show(ticket));
  const edge = attachment && await toldEdge(c.env.env, attachment.edge, ticket.audience);
  return c.json({
    ...status,
    url: shareUrl(ticket.name, ticket.audience, c.env.settings),
    state: state === "attached" && edge === undefined ? "away" : state,
    ...(edge === undefined ? {} : { edge: { id: edge.id, region: edge.region }, attachedAt: attachment?.at }),
  });
});

shares.get("/:name/edge", async (c) => {
  const { env, settings } = c.env;
  const { ticket, share, known } = await connecting(c.req.raw, c.req.param("name"), c.env);
  const { expiresAt, attachment } = unpack(await share.whereabouts(ticket, known));
  const edge = attachment && await toldEdge(env, attachment.edge, ticket.audience);
  c.header("cache-control", "no-store");
  return c.json({
    name: ticket.name,
    url: shareUrl(ticket.name, ticket.audience, settings),
    expiresAt,
    edge: edge ?? null,
  });
});

shares.put("/:name/ssh-key", async (c) => {
  const { ticket, share } = await owned(c.req.raw, c.req.param("name"), c.env);
  const { key, once } = parseSshKey(await readObject(c.req.raw));
  unpack(await share.putSshKey(ticket, key, once));
  return c.body(null, 204);
});

shares.get("/:name/ssh-key", async (c) => {
  const { ticket, share, known } = await connecting(c.req.raw, c.req.param("name"), c.env);
  const { key, once } = unpack(await share.sshKey(ticket, known));
  c.header("cache-control", "no-store");
  return c.json({ key: base64urlnopad.encode(key), once });
});

shares.post("/:name/ssh-key/claim", async (c) => {
  const { ticket, share } = await owned(c.req.raw, c.req.param("name"), c.env);
  const by = parseSshClaim(await readObject(c.req.raw));
  unpack(await share.claimSshLogin(ticket, by));
  return c.body(null, 204);
});

shares.delete("/:name", async (c) => {
  const { ticket, share } = await owned(c.req.raw, c.req.param("name"), c.env);
  unpack(await share.end(ticket));
  return c.body(null, 204);
});

/** Where a share is, for a device that reached the service by `origin`; undefined when its edge is gone. */
async function toldEdge(env: Env, attachedTo: EdgeRef, origin: string): Promise<EdgeInfo | undefined> {
  if (isWorkerEdge(attachedTo)) return workerEdgeInfo(origin);
  const edge = await liveEdge(env, attachedTo);
  return edge && edgeInfo(edge);
}

/** @returns `known`: the service's origins, by which the ticket was checked: by where the device came to */
async function connecting(request: Request, name: string, { env, settings }: Context["Bindings"]) {
  const ticket: TicketClaims = await requestTicket(request, { role: "connect", name: checkName(name) }, settings);
  unpack(await edgesObject(env).admitConnect(ticket.issuer, visitorAddress(request, settings)));
  return { ticket, share: await registeredShare(env, ticket.name), known: [...audiences(request, settings)] };
}

async function owned(request: Request, name: string, { env, settings }: Context["Bindings"]) {
  const ticket: TicketClaims = await requestTicket(request, { role: "owner", name: checkName(name) }, settings);
  return { ticket, share: await registeredShare(env, name) };
}
