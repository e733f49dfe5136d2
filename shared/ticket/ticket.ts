import { TicketError } from "../errors.ts";
import { fingerprint, type Identity } from "../identity.ts";
import {
  NAME_MAX_CHARS,
  TICKET_AUDIENCE_MAX_CHARS,
  TICKET_LEEWAY_MS,
  TICKET_MAX_BYTES,
  TICKET_TTL_MS,
} from "../limits.ts";
import type { RandomBytes } from "../random.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { coseKey, malformed, parseClaims, parseCoseKey, parseSign1, signSign1, verifySign1 } from "./cose.ts";

/**
 * Tickets: CWTs (RFC 8392) by which a device shows, for one use within minutes, that it may play a role for one share at
 * one service. Self-issued: the signing key travels inside (`cnf`, RFC 8747) and the issuer is its fingerprint, so a
 * ticket proves who asks; whether that key may is for the service to decide.
 */

/** What the bearer wants: run the share, look after it, or reach it. */
export type TicketRole = "share" | "owner" | "connect";

const ROLES: ReadonlySet<unknown> = new Set<TicketRole>(["share", "owner", "connect"]);

/** Labels of the claims. Private ones are below -65536 (RFC 8392, section 9.1.1). */
const ISS = 1;
const SUB = 2;
const AUD = 3;
const EXP = 4;
const NBF = 5;
const IAT = 6;
const CTI = 7;
const CNF = 8;
const ROLE = -70001;
/** `cnf` holds a COSE_Key under this label (RFC 8747, section 3.1). */
const CNF_COSE_KEY = 1;
const CTI_BYTES = 16;

/** What to put into a new ticket. */
export interface TicketRequest {
  readonly role: TicketRole;
  /** Name of the share. */
  readonly name: string;
  /** Origin of the service as the device reached it, such as `http://localhost:8080`. */
  readonly audience: string;
  /** Unix milliseconds by the service's clock (the device's clock corrected by the offset it has learnt). */
  readonly now: number;
  readonly random: RandomBytes;
}

/** A ticket whose signature has been verified. Times are Unix milliseconds. */
export interface TicketClaims {
  readonly role: TicketRole;
  readonly name: string;
  readonly audience: string;
  /** Unique to this ticket, lower-case hex. */
  readonly id: string;
  readonly issuedAt: number;
  /** From here on nobody takes the ticket any more, leeway included: as long its id must be remembered. */
  readonly deadAt: number;
  /** The device that signed it: fingerprint and key. */
  readonly issuer: string;
  readonly publicKey: Uint8Array;
}

/** What a ticket must say to be taken. Absent fields are not checked. */
export interface TicketExpectation {
  /** Origins by which the service knows itself. */
  readonly audiences?: readonly string[];
  readonly role?: TicketRole;
  readonly name?: string;
  /** Unix milliseconds. */
  readonly now: number;
}

/** A new signed ticket, valid for TICKET_TTL_MS. */
export function signTicket(identity: Identity, request: TicketRequest): Promise<Uint8Array> {
  const issued = Math.floor(request.now / 1000);
  return signSign1(
    encodeCbor(
      new Map<number, unknown>([
        [ISS, identity.fingerprint],
        [SUB, request.name],
        [AUD, request.audience],
        [EXP, issued + TICKET_TTL_MS / 1000],
        [NBF, issued],
        [IAT, issued],
        [CTI, request.random(CTI_BYTES)],
        [CNF, new Map([[CNF_COSE_KEY, coseKey(identity.publicKey)]])],
        [ROLE, request.role],
      ]),
    ),
    identity,
  );
}

/**
 * Checks a stranger's bytes and returns what they say: form, then signature, then time, then purpose. Whether the ticket
 * was used before and whether its key may is not decided here.
 * @throws {TicketError} every code but `ticket-replayed`
 */
export async function verifyTicket(bytes: Uint8Array, expected: TicketExpectation): Promise<TicketClaims> {
  if (bytes.length > TICKET_MAX_BYTES) throw malformed(`it is larger than ${TICKET_MAX_BYTES} bytes`);
  const sign1 = parseSign1(bytes);
  const claims = parseClaims(sign1.payload);
  const role = claims.get(ROLE);
  const id = claims.get(CTI);
  const confirmation = claims.get(CNF);
  if (!ROLES.has(role)) throw malformed("it has no known role");
  if (!(id instanceof Uint8Array) || id.length !== CTI_BYTES) throw malformed("it has no id");
  if (!(confirmation instanceof Map) || confirmation.size !== 1) throw malformed("it has no key");
  const publicKey = parseCoseKey(confirmation.get(CNF_COSE_KEY));
  const ticket: TicketClaims = {
    role: role as TicketRole,
    name: text(claims.get(SUB), "share", NAME_MAX_CHARS),
    audience: text(claims.get(AUD), "audience", TICKET_AUDIENCE_MAX_CHARS),
    id: Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    issuedAt: seconds(claims.get(IAT)),
    deadAt: seconds(claims.get(EXP)) + TICKET_LEEWAY_MS,
    issuer: fingerprint(publicKey),
    publicKey,
  };
  if (!(await verifySign1(sign1, publicKey))) {
    throw new TicketError("ticket-forged", "The ticket's signature does not verify.");
  }
  if (claims.get(ISS) !== ticket.issuer) {
    throw new TicketError("ticket-forged", "The ticket was signed by another key than it claims.");
  }
  checkTimes(ticket, seconds(claims.get(NBF)), expected.now);
  checkPurpose(ticket, expected);
  return ticket;
}

/** The lifetime is bounded, so that the memory of used tickets is. */
function checkTimes(ticket: TicketClaims, notBefore: number, now: number): void {
  const expires = ticket.deadAt - TICKET_LEEWAY_MS;
  if (expires - Math.min(notBefore, ticket.issuedAt) > TICKET_TTL_MS) throw malformed("it is valid for too long");
  const hint = "Check the clock of this machine.";
  if (Math.max(notBefore, ticket.issuedAt) > now + TICKET_LEEWAY_MS) {
    throw new TicketError("ticket-not-yet-valid", "The ticket is from the future.", { hint });
  }
  if (ticket.deadAt <= now) {
    throw new TicketError("ticket-expired", "The ticket has expired.", { hint });
  }
}

function checkPurpose(ticket: TicketClaims, expected: TicketExpectation): void {
  if (expected.audiences !== undefined && !expected.audiences.includes(ticket.audience)) {
    throw new TicketError("ticket-foreign", `The ticket is for another service (${ticket.audience}).`, {
      hint: "Reach the service by one of the addresses it is configured with.",
    });
  }
  if (expected.name !== undefined && ticket.name !== expected.name) {
    throw new TicketError("ticket-foreign", "The ticket is for another share.");
  }
  if (expected.role !== undefined && ticket.role !== expected.role) {
    throw new TicketError("ticket-foreign", `The ticket is for another role (${ticket.role}).`);
  }
}

function text(value: unknown, what: string, maxChars: number): string {
  // Visible ASCII only: what is quoted in messages and logs must not be able to break out of its line.
  if (typeof value !== "string" || value.length > maxChars || !/^[\x21-\x7e]+$/.test(value)) {
    throw malformed(`it names no ${what}`);
  }
  return value;
}

/** NumericDate of RFC 8392 in whole seconds, as milliseconds. */
function seconds(value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw malformed("it lacks a time");
  }
  return value * 1000;
}
