/**
 * The control sockets of one share: how its agent is there while nothing happens. The runtime keeps them open and answers
 * their pings while the object itself is not in memory; what is known of each lies with the socket.
 */
import { errorCode, errorMessage, ProtocolError } from "../../shared/errors.ts";
import { CONTROL_MESSAGE_MAX_BYTES, OBJECT_PENDING_MAX } from "../../shared/limits.ts";
import { commonVersion } from "../../shared/relay/handshake.ts";
import { EndCode } from "../../shared/relay/relay_core.ts";
import { type ControlMessage, decodeControl, encodeControl, type Hello } from "../../shared/wire/control.ts";

/** What an agent is told that a newer one has taken the place of. */
export const REPLACED = "A newer spanway with the same key took over.";

/** Close codes of RFC 6455, 7.4.1. */
const CloseCode = { DONE: 1000, PROTOCOL: 1002, POLICY: 1008 } as const;

/** The part of a WebSocket of workerd that is needed. */
export interface ControlSocket {
  send(message: Uint8Array): void;
  close(code: number, reason: string): void;
  serializeAttachment(value: unknown): void;
  deserializeAttachment(): unknown;
}

/** What is known of a socket. */
interface Marker {
  /** The origin by which the agent reached the service, for its ticket. */
  readonly audience: string | undefined;
  /** Its attachment, once its HELLO was accepted. */
  readonly session: string | undefined;
}

/** What the share's object decides and is told. */
export interface ControlEffects {
  /** All sockets that are open, the oldest first. */
  sockets(): readonly ControlSocket[];
  /** Takes the ticket of a HELLO. @throws {SpanwayError} what the agent is to be told */
  admit(hello: Hello, audience: string | undefined): Promise<{ session: string; expiresAt: number }>;
  /** The agent is there by this attachment. */
  attached(session: string): void;
  /** Its socket is gone; `goodbye` when it said so before. */
  left(session: string, goodbye: boolean): void;
}

export class ControlSockets {
  readonly #region: string;
  readonly #effects: ControlEffects;
  /** Those whose HELLO is being decided. */
  readonly #greeting = new WeakSet<ControlSocket>();

  constructor(region: string, effects: ControlEffects) {
    this.#region = region;
    this.#effects = effects;
  }

  /** Marks a socket that is about to be accepted. Strangers who say nothing push one another out. */
  add(socket: ControlSocket, audience: string | undefined): void {
    const silent = this.#effects.sockets().filter((other) =>
      markerOf(other).session === undefined && !this.#greeting.has(other)
    );
    if (silent.length >= OBJECT_PENDING_MAX) close(silent[0]!, CloseCode.POLICY, "too-many-sessions");
    mark(socket, { audience, session: undefined });
  }

  /** True while the agent of this attachment holds a socket. */
  has(session: string): boolean {
    return this.#of(session) !== undefined;
  }

  /** Asks the agent of an attachment for a session. False when it has no socket here. */
  dial(session: string): boolean {
    const socket = this.#of(session);
    return socket !== undefined && send(socket, { t: "dial", session });
  }

  /** Tells the agent of an attachment why it is over, and lets go of it. */
  end(session: string, code: string, message: string): void {
    const socket = this.#of(session);
    if (socket !== undefined) dismiss(socket, code, message);
  }

  /** Lets go of agents with the same key whose attachment is another one. */
  endOthers(session: string): void {
    for (const socket of this.#effects.sockets()) {
      const held = markerOf(socket).session;
      if (held !== undefined && held !== session) dismiss(socket, EndCode.REPLACED, REPLACED);
    }
  }

  /** A message has come. Never rejects. */
  async message(socket: ControlSocket, data: Uint8Array | string): Promise<void> {
    try {
      await this.#hear(socket, read(data));
    } catch (error) {
      send(socket, { t: "refuse", code: errorCode(error), message: errorMessage(error) });
      close(socket, error instanceof ProtocolError ? CloseCode.PROTOCOL : CloseCode.POLICY, errorCode(error));
    }
  }

  /** A socket has closed or broken. */
  closed(socket: ControlSocket): void {
    const { session } = markerOf(socket);
    // Another one of the same attachment may have taken its place.
    if (session !== undefined && this.#of(session, socket) === undefined) this.#effects.left(session, false);
  }

  async #hear(socket: ControlSocket, message: ControlMessage | undefined): Promise<void> {
    const { session } = markerOf(socket);
    if (session === undefined) return await this.#greet(socket, message);
    if (message?.t === "ping") send(socket, { t: "pong", n: message.n });
    if (message?.t !== "bye") return;
    forget(socket);
    close(socket, CloseCode.DONE, "bye");
    this.#effects.left(session, true);
  }

  async #greet(socket: ControlSocket, hello: ControlMessage | undefined): Promise<void> {
    if (hello?.t !== "hello" || hello.role !== "share" || this.#greeting.has(socket)) {
      throw new ProtocolError("unexpected", "the first message is not the HELLO of a share");
    }
    const version = commonVersion(hello.versions);
    if (version === undefined) {
      throw new ProtocolError("unsupported-version", "the agent speaks no version that the service does", {
        hint: "Update spanway on both sides.",
      });
    }
    this.#greeting.add(socket);
    const { session, expiresAt } = await this.#effects.admit(hello, markerOf(socket).audience);
    this.endOthers(session);
    const before = this.#of(session);
    if (before !== undefined) {
      forget(before);
      close(before, CloseCode.DONE, "another socket of the same agent");
    }
    mark(socket, { audience: undefined, session });
    send(socket, { t: "welcome", version, session, region: this.#region, expiresAt });
    this.#effects.attached(session);
  }

  #of(session: string, except?: ControlSocket): ControlSocket | undefined {
    return this.#effects.sockets().find((socket) => socket !== except && markerOf(socket).session === session);
  }
}

/** @throws {ProtocolError} */
function read(data: Uint8Array | string): ControlMessage | undefined {
  if (typeof data === "string") throw new ProtocolError("unexpected", "a text message on a control socket");
  // The length in front takes four bytes at the most.
  if (data.length > CONTROL_MESSAGE_MAX_BYTES + 4) throw new ProtocolError("too-large", "a control message too large");
  return decodeControl(data);
}

function markerOf(socket: ControlSocket): Marker {
  const marker = socket.deserializeAttachment() as Partial<Marker> | null;
  return { audience: marker?.audience, session: marker?.session };
}

function mark(socket: ControlSocket, marker: Marker): void {
  socket.serializeAttachment(marker);
}

/** What happens to it from now on concerns nobody. */
function forget(socket: ControlSocket): void {
  mark(socket, { audience: undefined, session: undefined });
}

function dismiss(socket: ControlSocket, code: string, message: string): void {
  forget(socket);
  send(socket, { t: "bye", code, message });
  close(socket, CloseCode.DONE, code);
}

/** False when the socket takes nothing any more. */
function send(socket: ControlSocket, message: ControlMessage): boolean {
  try {
    socket.send(encodeControl(message));
    return true;
  } catch {
    return false;
  }
}

function close(socket: ControlSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // It was closed already.
  }
}
