import { ProtocolError } from "../../errors.ts";
import { H3_PENDING_MAX, H3_SERVER_STREAMS_MAX, HANDSHAKE_TIMEOUT_MS } from "../../limits.ts";
import { H3_MESSAGE_ERROR, H3_NO_ERROR, H3_REQUEST_REJECTED } from "../h3/webtransport.ts";
import { H3Connection, type RequestStream } from "./h3_connection.ts";
import { readRequest, refuseRequest, type SessionRequest } from "./h3_request.ts";
import type { H3Session } from "./h3_session.ts";
import { ALPN_H3, closeConn, ignore, transportOptions } from "./quic.ts";

export type { SessionRequest } from "./h3_request.ts";

/** Certificate chain and private key, both PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** How to listen. */
export interface ListenH3Options extends Certificate {
  /** IP address to bind; `::` takes IPv4 as well. */
  readonly hostname: string;
  /** UDP port; 0 lets the system choose. */
  readonly port: number;
  /** Decides about each session. What it throws, or rejects with, refuses the session with status 500. */
  onSession(request: SessionRequest): void | Promise<void>;
  /** Streams that each peer may have open. Default H3_SERVER_STREAMS_MAX; a peer can make us hold 1.25 MB on each. */
  readonly streamsMax?: number;
  /** Handshakes and unanswered requests at once. Default H3_PENDING_MAX; beyond it connections are refused. */
  readonly pendingMax?: number;
  /** Takes connections of other protocols on the same port, by ALPN token. */
  readonly protocols?: Readonly<Record<string, (conn: Deno.QuicConn) => void>>;
}

/** What became of connections and requests. */
export interface H3Counters {
  /** Sessions that began. */
  accepted: number;
  /** Connections turned away because too many were pending. */
  refused: number;
  /** Handshakes that failed or were not finished. */
  failed: number;
  /** Connections cut because the peer broke the rules of HTTP/3. */
  malformed: number;
  /** Connections cut because no session had begun after HANDSHAKE_TIMEOUT_MS. */
  late: number;
}

/**
 * Listens for WebTransport sessions.
 * @throws {Error} the runtime's, when the address cannot be bound or the certificate cannot be used
 */
export function listenH3(options: ListenH3Options): H3Server {
  return new H3Server(options);
}

/** A listener for WebTransport sessions over HTTP/3. */
export class H3Server {
  /** What became of connections and requests since the start. */
  readonly counters: H3Counters = { accepted: 0, refused: 0, failed: 0, malformed: 0, late: 0 };
  readonly #options: ListenH3Options;
  readonly #endpoint: Deno.QuicEndpoint;
  /** The runtime shuts the endpoint to newcomers when any listener of it is collected as garbage: keep them all. */
  readonly #listeners: Deno.QuicListener[] = [];
  readonly #sessions = new Set<H3Session>();
  #pending = 0;
  #closed = false;

  constructor(options: ListenH3Options) {
    this.#options = options;
    this.#endpoint = new Deno.QuicEndpoint({ hostname: options.hostname, port: options.port });
    try {
      this.renew(options);
    } catch (error) {
      this.#endpoint.close();
      throw error;
    }
    this.#accept(this.#listeners[0]!);
  }

  /** The bound address. */
  get address(): { readonly hostname: string; readonly port: number } {
    return this.#endpoint.addr;
  }

  /** The UDP socket, also good for dialling. */
  get endpoint(): Deno.QuicEndpoint {
    return this.#endpoint;
  }

  /** Sessions that are open. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Handshakes and unanswered requests. */
  get pending(): number {
    return this.#pending;
  }

  /** Uses another certificate for new connections. Sessions and handshakes go on undisturbed. */
  renew({ cert, key }: Certificate): void {
    if (this.#closed) return;
    const { streamsMax = H3_SERVER_STREAMS_MAX, protocols = {} } = this.#options;
    const alpnProtocols = [ALPN_H3, ...Object.keys(protocols)];
    this.#listeners.push(
      // The CONNECT stream is one more.
      this.#endpoint.listen({ cert, key, alpnProtocols, ...transportOptions("server", streamsMax + 1) }),
    );
  }

  /**
   * Closes every session, then the listener. Idempotent. The port is free again when the process ends, or when the
   * runtime has collected this server as garbage.
   */
  async close(close: { code?: number; reason?: string } = {}): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const gone = [...this.#sessions].map((session) => session.released);
    for (const session of this.#sessions) session.close(close);
    await Promise.all(gone);
    this.#endpoint.close({ closeCode: H3_NO_ERROR, reason: "" });
  }

  async #accept(listener: Deno.QuicListener): Promise<void> {
    try {
      for (;;) {
        const incoming = await listener.incoming();
        if (this.#closed || this.#pending >= (this.#options.pendingMax ?? H3_PENDING_MAX)) {
          this.counters.refused++;
          refuse(incoming);
        } else {
          ignore(this.#serve(incoming));
        }
      }
    } catch {
      // The endpoint was closed.
    }
  }

  /** One connection, up to its session or its end. */
  async #serve(incoming: Deno.QuicIncoming): Promise<void> {
    this.#pending++;
    try {
      let conn: Deno.QuicConn;
      try {
        conn = await incoming.accept();
      } catch {
        this.counters.failed++;
        return;
      }
      const other = this.#options.protocols?.[conn.protocol ?? ""];
      if (other === undefined) return await this.#serveH3(conn);
      try {
        other(conn);
      } catch {
        closeConn(conn, 0);
      }
    } finally {
      this.#pending--;
    }
  }

  /** An HTTP/3 connection, up to its session or its end. */
  async #serveH3(conn: Deno.QuicConn): Promise<void> {
    const timer = setTimeout(() => {
      this.counters.late++;
      closeConn(conn, H3_REQUEST_REJECTED);
    }, HANDSHAKE_TIMEOUT_MS);
    await new Promise<void>((settle) => {
      conn.closed.then(() => settle(), () => settle());
      const connection = new H3Connection(conn, {
        request: (request) => {
          this.#answer(connection, request, settle).catch((error) => {
            // Otherwise the stream broke, and there is nobody to answer.
            if (error instanceof ProtocolError) connection.cut(H3_MESSAGE_ERROR);
          });
        },
        broken: () => this.counters.malformed++,
      });
      ignore(connection.start());
    });
    clearTimeout(timer);
  }

  /** One request. `settle` is called when it has become a session. */
  async #answer(connection: H3Connection, stream: RequestStream, settle: () => void): Promise<void> {
    const request = await readRequest(connection, stream, (session) => {
      this.counters.accepted++;
      this.#sessions.add(session);
      session.released.then(() => this.#sessions.delete(session));
      settle();
    });
    if (request === undefined) return refuseRequest(stream, 404);
    if (!connection.claim()) return refuseRequest(stream, 429);
    try {
      await this.#options.onSession(request);
    } catch {
      request.refuse(500);
    }
  }
}

/** Turns a connection away. Never throws: the accept loop must go on. */
function refuse(incoming: Deno.QuicIncoming): void {
  try {
    incoming.refuse();
  } catch {
    // It is gone already.
  }
}
