import { errorCode, errorMessage, ServiceError, SpanwayError } from "../../shared/errors.ts";
import { HANDSHAKE_TIMEOUT_MS } from "../../shared/limits.ts";
import { type Control, dialHandshake } from "../../shared/relay/handshake.ts";
import { EndCode } from "../../shared/relay/relay_core.ts";
import type { Session } from "../../shared/transport/transport.ts";
import { Backoff } from "./backoff.ts";

/** Where an agent can attach, as the service tells it. */
export interface EdgeInfo {
  readonly id: string;
  readonly region: string;
  /** WebTransport. */
  readonly url: string;
  /** SHA-256 of the QUIC certificates, as hex. */
  readonly certHashes: readonly string[];
  /** QMux over WebSocket. */
  readonly ws: string;
}

/** The service's answer to a registration. */
export interface Registration {
  readonly name: string;
  readonly url: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  readonly edges: readonly EdgeInfo[];
}

/** A session that has been set up, and how. */
export interface Connected {
  readonly session: Session;
  /** Why the first choice of transport was not used; undefined when it was. */
  readonly fallback: string | undefined;
}

/** What a share does to the world; simulated in tests. */
export interface ShareEffects {
  /** Unix milliseconds. */
  now(): number;
  /** From 0 up to 1. */
  random(): number;
  /** Resolves after `ms` milliseconds or when the signal aborts, whichever is first. Never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Claims or renews the name. @throws {ServiceError | TicketError} */
  register(name: string): Promise<Registration>;
  /** Ends the share at the service. */
  unregister(name: string): Promise<void>;
  /** @throws {TransportError} */
  connect(edge: EdgeInfo, signal: AbortSignal): Promise<Connected>;
  /** A fresh ticket for HELLO. */
  ticket(name: string): Promise<Uint8Array>;
  /** Another name, when a generated one is taken; undefined when the name was chosen. */
  otherName(): string | undefined;
  /** Answers the streams of an attached session until it ends. */
  serve(session: Session): Promise<void>;
}

/** What happens to a share, for whoever watches. */
export type ShareEvent =
  | { readonly event: "registered"; readonly registration: Registration }
  | {
    readonly event: "attached";
    readonly registration: Registration;
    readonly edge: EdgeInfo;
    readonly transport: Session["transport"];
    readonly fallback: string | undefined;
    /** True when it was attached before and came back. */
    readonly again: boolean;
  }
  | { readonly event: "lost"; readonly code: string; readonly message: string; readonly retryInMs: number };

/** Why a share ended by itself. */
export type ShareEnd = "interrupted" | "expired";

/** Codes after which trying again cannot help. */
const FINAL: ReadonlySet<string> = new Set<string>([
  "name-taken",
  "name-invalid",
  "not-allowed",
  "bad-request",
  "share-ended",
  "unsupported-version",
  "ticket-forged",
  "ticket-foreign",
  EndCode.REPLACED,
  EndCode.ENDED,
]);

/**
 * Keeps one share on the air: registers, attaches, serves, and comes back after every loss until it is interrupted or
 * expires.
 */
export class ShareController {
  readonly #effects: ShareEffects;
  readonly #tell: (event: ShareEvent) => void;
  readonly #backoff: Backoff;
  #name: string;
  #attachedBefore = false;

  constructor(name: string, effects: ShareEffects, tell: (event: ShareEvent) => void) {
    this.#name = name;
    this.#effects = effects;
    this.#tell = tell;
    this.#backoff = new Backoff(effects.random);
  }

  /** The name in use. It changes only before the first registration succeeds. */
  get name(): string {
    return this.#name;
  }

  /**
   * Runs until the signal aborts or the share expires.
   * @throws {SpanwayError} when trying again cannot help, or when the very first registration fails
   */
  async run(signal: AbortSignal): Promise<ShareEnd> {
    let registration = await this.#registerFirst();
    this.#tell({ event: "registered", registration });
    const expiry = new AbortController();
    const stop = AbortSignal.any([signal, expiry.signal]);
    const timer = setTimeout(() => expiry.abort(), registration.expiresAt - this.#effects.now());
    try {
      while (!stop.aborted) {
        try {
          await this.#attachAndServe(registration, stop);
        } catch (error) {
          if (stop.aborted) break;
          if (errorCode(error) === EndCode.EXPIRED) return "expired";
          if (FINAL.has(errorCode(error))) throw error;
          await this.#pause(error, stop);
          if (!stop.aborted) registration = await this.#renew(registration);
        }
      }
      return signal.aborted ? "interrupted" : "expired";
    } finally {
      clearTimeout(timer);
      await this.#effects.unregister(this.#name).catch(() => {});
    }
  }

  async #registerFirst(): Promise<Registration> {
    for (;;) {
      try {
        return await this.#effects.register(this.#name);
      } catch (error) {
        const other = errorCode(error) === "name-taken" ? this.#effects.otherName() : undefined;
        if (other === undefined) throw error;
        this.#name = other;
      }
    }
  }

  /** Learns the edges anew. A service that does not answer leaves us with what we know. */
  async #renew(known: Registration): Promise<Registration> {
    try {
      return await this.#effects.register(this.#name);
    } catch (error) {
      if (FINAL.has(errorCode(error))) throw error;
      return known;
    }
  }

  async #pause(error: unknown, signal: AbortSignal): Promise<void> {
    const retryInMs = Math.round(this.#backoff.next());
    this.#tell({ event: "lost", code: errorCode(error), message: errorMessage(error), retryInMs });
    await this.#effects.sleep(retryInMs, signal);
  }

  async #attachAndServe(registration: Registration, signal: AbortSignal): Promise<void> {
    const edge = registration.edges[0];
    if (edge === undefined) throw new ServiceError("unavailable", "The service has no edge to attach to right now.");
    const { session, fallback } = await this.#effects.connect(edge, signal);
    const end = () => session.close({ code: 0, reason: "bye" });
    try {
      const hello = {
        role: "share" as const,
        name: this.#name,
        ticket: await this.#effects.ticket(this.#name),
        agent: AGENT,
      };
      const { control } = await dialHandshake(session, hello, HANDSHAKE_TIMEOUT_MS);
      this.#backoff.reset();
      const again = this.#attachedBefore;
      this.#attachedBefore = true;
      this.#tell({ event: "attached", registration, edge, transport: session.transport, fallback, again });
      await this.#serve(session, control, signal);
    } finally {
      end();
    }
  }

  async #serve(session: Session, control: Control, signal: AbortSignal): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const serving = this.#effects.serve(session);
    const bye = readUntilBye(control, session);
    await Promise.race([stopped, bye]);
    if (signal.aborted) {
      await control.send({ t: "bye", code: "bye", message: "the share is being ended by its owner" });
      return;
    }
    const reason = await bye;
    session.close();
    await serving;
    throw new SpanwayError(reason.code, reason.message);
  }
}

/** Name and version as said in HELLO. */
const AGENT = "spanway";

async function readUntilBye(control: Control, session: Session): Promise<{ code: string; message: string }> {
  const closed = session.closed.then(({ reason }) => ({
    code: "session-closed",
    message: reason === "" ? "The connection to the edge was lost." : `The connection to the edge ended: ${reason}.`,
  }));
  const bye = (async () => {
    for (;;) {
      const message = await control.read();
      if (message === undefined) return await closed;
      if (message.t === "bye") return { code: message.code, message: message.message };
      if (message.t === "ping") await control.send({ t: "pong", n: message.n });
    }
  })().catch(() => closed);
  return await Promise.race([bye, closed]);
}
