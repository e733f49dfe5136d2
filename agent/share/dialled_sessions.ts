import type { EdgeInfo } from "../../shared/edge_info.ts";
import { errorCode } from "../../shared/errors.ts";
import { DIAL_ATTEMPTS_MAX, GOODBYE_SESSIONS_MS, HANDSHAKE_TIMEOUT_MS } from "../../shared/limits.ts";
import { type Control, dialHandshake, RefusedError } from "../../shared/relay/handshake.ts";
import type { Session } from "../../shared/transport/transport.ts";
import { Backoff } from "../attach/backoff.ts";
import { readUntilBye } from "../attach/until_bye.ts";
import { VERSION } from "../version.ts";

/** What dialling does to the world. */
export interface DialEffects {
  /** From 0 up to 1. */
  random(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** @throws {TransportError} */
  connect(edge: EdgeInfo, name: string, signal: AbortSignal): Promise<Session>;
  ticket(name: string): Promise<Uint8Array>;
  /** Answers the streams of a session until it ends. */
  serve(session: Session): Promise<void>;
  /** Nothing came of a dial. */
  failed(error: unknown): void;
}

/** The sessions of a share that were asked for over its control socket. They outlive a control socket that breaks. */
export class DialledSessions {
  readonly #effects: DialEffects;
  /** With their control streams, once they are being served. */
  readonly #open = new Map<Session, Control | undefined>();
  /** Attachments for which a dial is under way. */
  readonly #dialling = new Set<string>();
  readonly #over = new AbortController();

  constructor(effects: DialEffects) {
    this.#effects = effects;
  }

  /** True while somebody is there. */
  get inUse(): boolean {
    return this.#open.size > 0;
  }

  /** Dials a session of `attachment`, unless that is under way, and serves it until it ends. Never throws. */
  dial(edge: EdgeInfo, name: string, attachment: string): void {
    if (this.#dialling.has(attachment) || this.#over.signal.aborted) return;
    this.#dialling.add(attachment);
    void this.#try(edge, name, attachment).finally(() => this.#dialling.delete(attachment));
  }

  /**
   * Says goodbye on each and waits until the other side has closed it, which it does once it has passed on what came before:
   * those who connect hear from the share itself why it goes. Takes GOODBYE_SESSIONS_MS at the most.
   */
  async leave(): Promise<void> {
    this.#over.abort();
    const enough = new AbortController();
    const left = [...this.#open].map(async ([session, control]) => {
      await control?.send({ t: "bye", code: "bye", message: "the share is being ended by its owner" });
      await session.closed;
    });
    await Promise.race([Promise.all(left), this.#effects.sleep(GOODBYE_SESSIONS_MS, enough.signal)]);
    enough.abort();
  }

  /** Ends them all. */
  close(): void {
    this.#over.abort();
    for (const session of this.#open.keys()) session.close({ code: 0, reason: "bye" });
  }

  async #try(edge: EdgeInfo, name: string, attachment: string): Promise<void> {
    const backoff = new Backoff(this.#effects.random);
    const { signal } = this.#over;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        return await this.#begin(edge, name, attachment, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (attempt >= DIAL_ATTEMPTS_MAX || error instanceof RefusedError) return this.#effects.failed(error);
        await this.#effects.sleep(backoff.next(), signal);
      }
    }
  }

  /** Resolves once the session is being served. */
  async #begin(edge: EdgeInfo, name: string, attachment: string, signal: AbortSignal): Promise<void> {
    const ticket = this.#effects.ticket(name);
    ticket.catch(() => {});
    const session = await this.#effects.connect(edge, name, signal);
    if (signal.aborted) return session.close({ code: 0, reason: "bye" });
    this.#open.set(session, undefined);
    void session.closed.then(() => this.#open.delete(session));
    try {
      const hello = {
        role: "share" as const,
        name,
        ticket: await ticket,
        agent: `spanway/${VERSION}`,
        session: attachment,
      };
      const { control } = await dialHandshake(session, hello, HANDSHAKE_TIMEOUT_MS);
      if (this.#open.has(session)) this.#open.set(session, control);
      void this.#effects.serve(session);
      // Why it ends is said on the control socket, if it concerns the share.
      void readUntilBye(control, session).then(() => session.close());
    } catch (error) {
      session.close({ code: 1, reason: errorCode(error) });
      throw error;
    }
  }
}
