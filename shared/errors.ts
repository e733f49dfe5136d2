/**
 * The errors of spanway: few classes, each with a stable code that programs may rely on and a message for the person
 * who reads it. Everything that can go wrong is translated into one of these once, where it enters our code.
 */

/** Base class. `code` is stable and kebab-case; `message` says what happened; `hint` says what to do about it. */
export class SpanwayError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly hint: string | undefined;

  constructor(code: Code, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = options.hint;
  }
}

export type TransportErrorCode =
  | "session-closed" // the session has ended; nothing can be opened or sent on it any more
  | "stream-cut" // the stream ended without END, or broke
  | "connect-failed" // no session could be set up
  | "connect-timeout" // the peer did not answer in time
  | "too-many-streams" // the peer gives no credit for another stream within the wait
  | "datagram-too-large"
  | "unsupported"; // this runtime has no such transport

/** A session or stream failed underneath the protocol. */
export class TransportError extends SpanwayError<TransportErrorCode> {}

export type ProtocolErrorCode =
  | "malformed" // bytes that no version of the protocol could mean
  | "too-large" // a declared or real size above its limit
  | "too-deep" // CBOR nested deeper than allowed
  | "too-many-items" // CBOR with more items than allowed
  | "unexpected" // well-formed, but not allowed in this state
  | "unsupported-version"
  | "timeout"; // the peer owes a message and did not send it

/** The peer broke the protocol. The session or stream that it came from is cut. */
export class ProtocolError extends SpanwayError<ProtocolErrorCode> {}

export type TicketErrorCode =
  | "ticket-malformed"
  | "ticket-forged" // the signature does not verify
  | "ticket-expired"
  | "ticket-not-yet-valid"
  | "ticket-replayed"
  | "ticket-foreign"; // for another audience, share, role or key

/** A ticket was not accepted. */
export class TicketError extends SpanwayError<TicketErrorCode> {}

export type ServiceErrorCode =
  | "name-taken" // the name belongs to another key
  | "name-invalid"
  | "share-unknown"
  | "share-expired"
  | "share-ended" // its owner stopped it
  | "share-away" // it lives, but its agent is attached nowhere, or not here
  | "ssh-none" // it offers no SSH login
  | "ssh-used" // its one SSH login is over
  | "not-allowed"
  | "rate-limited"
  | "bad-request"
  | "unavailable"; // the service or the part behind it cannot be reached now

/** The share service said no. */
export class ServiceError extends SpanwayError<ServiceErrorCode> {}

export type LinkErrorCode =
  | "not-allowed" // the share's owner does not allow this host or port
  | "connection-refused" // nothing listens there
  | "host-unreachable"
  | "network-unreachable"
  | "timed-out" // the far side did not answer the connection attempt
  | "name-unknown" // the far side cannot resolve the name
  | "reset" // the connection was reset by whoever held its other end
  | "resume-expired" // there was no path for longer than the resume window
  | "too-many-streams"
  | "link-closed" // one of the two agents ended the link
  | "tampered" // bytes that the peer did not send: the relay changes, drops or reorders what it carries
  | "identity-changed" // the share proves another identity than the one expected
  | "refused" // the peer did not take the link
  | "internal";

/** A link between two agents, or one connection in it, failed. */
export class LinkError extends SpanwayError<LinkErrorCode> {}

/** The agent at the other end of a link said no to a question; code and words are its own. */
export class AnswerError extends SpanwayError {}

/** The code of any thrown value: its own if it is ours, `"internal"` otherwise. */
export function errorCode(error: unknown): string {
  return error instanceof SpanwayError ? error.code : "internal";
}

/** A one-line message for any thrown value. Never a stack trace. */
export function errorMessage(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0] || "unknown error";
}
