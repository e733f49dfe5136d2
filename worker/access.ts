import { ServiceError, TicketError } from "../shared/errors.ts";
import { EDGE_KEY_HEADER, VISITOR_HEADER } from "../shared/internal_headers.ts";
import { TICKET_MAX_BYTES } from "../shared/limits.ts";
import { checkName } from "../shared/names.ts";
import { type TicketClaims, type TicketRole, verifyTicket } from "../shared/ticket/ticket.ts";
import { parseBase64Url } from "./api/input.ts";
import { ownOrigin } from "./host.ts";
import { sameSecret } from "./secret.ts";
import { CLOUDFLARE_VISITOR_HEADER, type Settings } from "./settings.ts";

/**
 * Who is asking: by ticket, by service key, or as a part of the service that speaks for a visitor. What a proven asker may
 * do to a share is decided by its ShareState.
 */

/** Base64url of the largest ticket. */
const TICKET_MAX_CHARS = Math.ceil(TICKET_MAX_BYTES / 3) * 4;

/**
 * The verified ticket of a request (`Authorization: Spanway <base64url>`). Its name is a valid one.
 * @param expected.name undefined: whatever name the ticket is for
 * @throws {TicketError} every code but `ticket-replayed`
 * @throws {ServiceError} `not-allowed` without a ticket, `name-invalid`, `bad-request`
 */
export async function requestTicket(
  request: Request,
  expected: { readonly role: TicketRole; readonly name?: string },
  settings: Settings,
): Promise<TicketClaims> {
  const match = /^Spanway +([^ ]+)$/i.exec(request.headers.get("authorization") ?? "");
  if (match === null) {
    throw new ServiceError("not-allowed", "This needs a ticket.", { hint: "Use the spanway command line." });
  }
  return await readTicket(match[1]!, { ...expected, audiences: audiences(request, settings) });
}

/** A verified ticket that came as base64url text; its audience is checked only if `audiences` are given. */
export async function readTicket(
  text: string,
  expected: { readonly role: TicketRole; readonly name?: string; readonly audiences?: readonly string[] },
): Promise<TicketClaims> {
  if (text.length > TICKET_MAX_CHARS) throw new TicketError("ticket-malformed", "The ticket is too large.");
  const ticket = await verifyTicket(parseBase64Url(text), { ...expected, now: Date.now() });
  checkName(ticket.name);
  return ticket;
}

/** The origins for which tickets are taken: the configured ones, else the domain's own as the request was sent to it. */
export function audiences(request: Request, settings: Settings): readonly string[] {
  if (settings.origins.length > 0) return settings.origins;
  const proto = fromEdge(request, settings) ? request.headers.get("x-forwarded-proto") ?? undefined : undefined;
  const own = ownOrigin(request.url, request.headers.get("host"), proto, settings);
  return own === undefined ? [] : [own];
}

/** @throws {ServiceError} `not-allowed` unless the request shows the service key (`Authorization: Bearer`) */
export function requireServiceKey(request: Request, settings: Settings): void {
  if (!showsServiceKey(request, settings)) {
    throw new ServiceError("not-allowed", "This needs the key of the service.", {
      hint: "Start the edge with the same SPANWAY_SERVICE_KEY as the service.",
    });
  }
}

/** True when the request shows the service key as its own authority. */
export function showsServiceKey(request: Request, settings: Settings): boolean {
  const match = /^Bearer +([^ ]+)$/i.exec(request.headers.get("authorization") ?? "");
  return sameSecret(match?.[1], settings.key);
}

/** True when an edge of ours hands on a visitor's request: its X-Forwarded headers may be believed. */
export function fromEdge(request: Request, settings: Settings): boolean {
  return sameSecret(request.headers.get(EDGE_KEY_HEADER), settings.key);
}

/**
 * The visitor's IP address where it is known: from our edge, from a proxy in front of the Worker if one is configured, from
 * workerd, or from Cloudflare.
 */
export function visitorAddress(request: Request, settings: Settings): string | undefined {
  if (fromEdge(request, settings)) return request.headers.get(VISITOR_HEADER) ?? undefined;
  const { visitorHeader } = settings;
  const said = visitorHeader === undefined ? undefined : request.headers.get(visitorHeader) ?? undefined;
  return visitorHeader === CLOUDFLARE_VISITOR_HEADER || said === undefined ? connectedFrom(request) ?? said : said;
}

/** Who has connected to workerd, which says so where nothing of Cloudflare is in front: any header is a claim there. */
function connectedFrom(request: Request): string | undefined {
  const { cf } = request as { readonly cf?: unknown };
  const address: unknown = (cf as Readonly<Record<string, unknown>> | undefined)?.clientIp;
  return typeof address === "string" ? address.replace(/^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/, "$1$2") : undefined;
}
