import type { Session, SessionClose } from "../transport/transport.ts";
import { type ConnectorBounds, Connectors } from "./connectors.ts";
import type { Control } from "./handshake.ts";
import { sayBye, serveControl } from "./serve_control.ts";
import { type PoolEffects, StreamPool } from "./stream_pool.ts";

/** One share whose agent is attached here. */
export class AttachedShare {
  readonly name: string;
  /** Id of this attachment, given by the Share object. */
  readonly id: string;
  readonly session: Session;
  readonly pool: StreamPool;
  readonly connectors: Connectors;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  readonly #control: Control;

  constructor(
    attachment: { name: string; id: string; expiresAt: number },
    session: Session,
    control: Control,
    effects: PoolEffects,
    bounds: { readonly connectors?: ConnectorBounds; readonly requests?: number } = {},
  ) {
    this.name = attachment.name;
    this.id = attachment.id;
    this.expiresAt = attachment.expiresAt;
    this.session = session;
    this.pool = new StreamPool(session, effects, bounds.requests === undefined ? {} : { requests: bounds.requests });
    this.connectors = new Connectors(session, bounds.connectors);
    this.#control = control;
  }

  /**
   * Answers the agent's control messages until the session ends, then lets go of visitors and connectors. `fault` is the
   * code of what the agent did wrong, if that was the cause. Never rejects.
   */
  async serve(): Promise<{ close: SessionClose; fault: string | undefined }> {
    const end = await serveControl(this.session, this.#control);
    this.pool.close();
    void this.connectors.close(undefined);
    return end;
  }

  /** Tells the agent and its connectors why, leaves them the time to hear it, then ends the sessions. Never rejects. */
  async end(code: string, message: string): Promise<void> {
    this.pool.close();
    await Promise.all([this.connectors.close(code), sayBye(this.session, this.#control, code, message)]);
  }
}
