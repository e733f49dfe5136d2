/**
 * The relay core in its other home: one share's sessions inside its own Durable Object, over QMux. What an edge asks of the
 * service is decided here at once.
 */
import { ServiceError, SpanwayError } from "../../shared/errors.ts";
import {
  OBJECT_CONNECTORS_MAX,
  OBJECT_IDLE_TIMEOUT_MS,
  OBJECT_LANES_MAX,
  OBJECT_PENDING_MAX,
  OBJECT_QUIET_MS,
  OBJECT_REQUESTS_MAX,
  OBJECT_STREAM_WINDOW_BYTES,
  OBJECT_STREAMS_MAX,
} from "../../shared/limits.ts";
import { type Admission, type ConnectorAdmission, EndCode, RelayCore } from "../../shared/relay/relay_core.ts";
import type { AttachedShare } from "../../shared/relay/attached_share.ts";
import type { Session } from "../../shared/transport/transport.ts";
import type { StandardWebSocket } from "../../shared/transport/qmux/socket.ts";
import { acceptQmux } from "../../shared/transport/qmux/session.ts";
import type { Hello } from "../../shared/wire/control.ts";

/** What the share's object decides and is told. */
export interface ShareRelayEffects {
  name(): string;
  now(): number;
  /** @param audience the origin by which the agent came. @throws {SpanwayError} what the agent is to be told */
  admitShare(hello: Hello, audience: string | undefined): Promise<Admission>;
  admitConnector(hello: Hello, audience: string | undefined): Promise<ConnectorAdmission>;
  /** Asks for the share's agent, for a connector with a ticket, and says under which attachment it came. */
  summon(admission: ConnectorAdmission): Promise<ConnectorAdmission>;
  /** The agent's session has begun, is over. */
  attached(share: AttachedShare): void;
  detached(share: AttachedShare): void;
  /** True when the agent comes back as soon as it is called: its session may end while nobody is there. */
  mayRest(share: AttachedShare): boolean;
}

/**
 * A session over a WebSocket that was just accepted.
 * @throws {TransportError} when nothing comes of it
 */
export function acceptSession(socket: StandardWebSocket, remoteAddress: string | undefined): Promise<Session> {
  return acceptQmux(socket, {
    remoteAddress,
    idleTimeoutMs: OBJECT_IDLE_TIMEOUT_MS,
    streamWindowBytes: OBJECT_STREAM_WINDOW_BYTES,
    streamsMax: OBJECT_STREAMS_MAX,
  });
}

export class ShareRelay {
  readonly #effects: ShareRelayEffects;
  readonly #core: RelayCore;
  /** By which origin each came. */
  readonly #audiences = new WeakMap<Session, string | undefined>();
  /** Sessions, begun ones with them. */
  #serving = 0;
  /** Since when nobody has been here. */
  #quietSince: number | undefined;

  constructor(region: string, effects: ShareRelayEffects) {
    this.#effects = effects;
    this.#core = new RelayCore(region, {
      now: effects.now,
      admit: (hello, session) => effects.admitShare(hello, this.#audiences.get(session)),
      attached: (share) => {
        this.#quietSince = undefined;
        effects.attached(share);
      },
      detached: (share) => effects.detached(share),
      refused: () => {},
      connectors: {
        admit: async (hello, session) => {
          if (hello.name !== effects.name()) {
            throw new ServiceError("share-unknown", "This is the place of another share.");
          }
          return await effects.admitConnector(hello, this.#audiences.get(session));
        },
        summon: (admission) => effects.summon(admission),
        came: () => {},
        went: () => {},
      },
    }, {
      pending: OBJECT_PENDING_MAX,
      sessions: 2,
      connectors: OBJECT_CONNECTORS_MAX,
      lanes: OBJECT_LANES_MAX,
      requests: OBJECT_REQUESTS_MAX,
    });
  }

  /** The agent's session, while there is one. */
  get share(): AttachedShare | undefined {
    return this.#core.registry.get(this.#effects.name());
  }

  /** Nobody is here, and nobody is coming. */
  get isEmpty(): boolean {
    return this.#serving === 0;
  }

  /** Serves one session that is being accepted, until it ends. Never rejects. */
  async serve(accepting: Promise<Session>, audience: string | undefined): Promise<void> {
    this.#serving++;
    try {
      const session = await accepting;
      this.#audiences.set(session, audience);
      await this.#core.serve(session);
    } catch (error) {
      // Half a handshake: its sender knows, and nobody else is concerned.
      if (!(error instanceof SpanwayError)) throw error;
    } finally {
      this.#serving--;
    }
  }

  /** Ends what is attached under this session. */
  end(session: string, code: string, message: string): void {
    this.#core.end(this.#effects.name(), session, code, message);
  }

  /** Housekeeping, every second while somebody is attached. */
  sweep(): void {
    this.#core.sweep();
    const { share } = this;
    if (share === undefined) return;
    const now = this.#effects.now();
    const isQuiet = share.pool.busy + share.pool.idle + share.connectors.size === 0;
    this.#quietSince = isQuiet ? this.#quietSince ?? now : undefined;
    if (this.#quietSince === undefined || now - this.#quietSince < OBJECT_QUIET_MS) return;
    if (this.#effects.mayRest(share)) this.end(share.id, EndCode.IDLE, "Nobody is here.");
  }
}
