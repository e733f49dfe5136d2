import { errorCode, errorMessage, ProtocolError } from "../errors.ts";
import { REFUSAL_LINGER_MS } from "../limits.ts";
import type { Session, SessionClose } from "../transport/transport.ts";
import type { Control } from "./handshake.ts";
import { type PoolEffects, StreamPool } from "./stream_pool.ts";

/** One share whose agent is attached here. */
export class AttachedShare {
  readonly name: string;
  /** Id of this attachment, given by the Share object. */
  readonly id: string;
  readonly session: Session;
  readonly pool: StreamPool;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  readonly #control: Control;

  constructor(
    attachment: { name: string; id: string; expiresAt: number },
    session: Session,
    control: Control,
    effects: PoolEffects,
  ) {
    this.name = attachment.name;
    this.id = attachment.id;
    this.expiresAt = attachment.expiresAt;
    this.session = session;
    this.pool = new StreamPool(session, effects);
    this.#control = control;
  }

  /**
   * Answers the agent's control messages until the session ends. `fault` is the code of what the agent did wrong, if that
   * was the cause. Never rejects.
   */
  async serveControl(): Promise<{ close: SessionClose; fault: string | undefined }> {
    let fault: string | undefined;
    try {
      for (;;) {
        const message = await this.#control.read();
        if (message === undefined || message.t === "bye") break;
        if (message.t === "ping") await this.#control.send({ t: "pong", n: message.n });
      }
      this.session.close({ code: 0, reason: "bye" });
    } catch (error) {
      if (error instanceof ProtocolError) fault = errorCode(error);
      this.session.close({ code: 1, reason: errorMessage(error) });
    }
    return { close: await this.session.closed, fault };
  }

  /** Refuses streams that the agent opens: a share only answers. Never rejects. */
  async refuseStreams(): Promise<void> {
    for (;;) {
      const stream = await this.session.acceptStream();
      if (stream === undefined) return;
      stream.readable.cancel().catch(() => {});
      stream.writable.abort().catch(() => {});
    }
  }

  /** Tells the agent why, leaves it the time to hear it, then ends the session. Never rejects. */
  async end(code: string, message: string): Promise<void> {
    this.pool.close();
    // Not waited for: an agent that takes nothing is given no more time than any other.
    void this.#control.send({ t: "bye", code, message });
    await linger(this.session, code);
  }
}

/** Waits until the peer closes the session, for REFUSAL_LINGER_MS at the most, then closes it. Never rejects. */
export async function linger(session: Session, reason: string): Promise<void> {
  const timer = setTimeout(() => session.close({ code: 1, reason }), REFUSAL_LINGER_MS);
  await session.closed;
  clearTimeout(timer);
}
