import { H3_PENDING_MAX, HANDSHAKE_TIMEOUT_MS } from "../../limits.ts";
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
  /** Streams that each peer may have open. Default SESSION_STREAMS_MAX; a peer can make us hold 1.25 MB on each. */
  readonly streamsMax?: number;
  /** Handshakes and unanswered requests at once. Default H3_PENDING_MAX; beyond it connections are refused. */
  readonly pendingMax?: number;
  /** Takes connections of other protocols on the same port, by ALPN token. */
  readonly protocols?: Readonly<Record<string, (conn: Deno.QuicConn) => void>>;
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
  readonly #options: ListenH3Options;
  readonly #endpoint: Deno.QuicEndpoint;
  /** The runtime shuts the endpoint to newcomers when any listener of it is collected as garbage: keep them all. */
  readonly #listeners: Deno.QuicListener[] = [];
  readonly #sessions = new Set<H3Session>();
  #pending = 0;
  #refused = 0;
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

  /** Connections that were refused because too many were pending. */
  get refused(): number {
    return this.#refused;
  }

  /** Uses another certificate for new connections. Sessions and handshakes go on undisturbed. */
  renew({ cert, key }: Certificate): void {
    const { streamsMax, protocols = {} } = this.#options;
    const alpnProtocols = [ALPN_H3, ...Object.keys(protocols)];
    this.#listeners.push(this.#endpoint.listen({ cert, key, alpnProtocols, ...transportOptions(streamsMax) }));
  }

  /** Closes every session, then the socket. Idempotent. */
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
          this.#refused++;
          incoming.refuse();
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
      const conn = await incoming.accept();
      const other = this.#options.protocols?.[conn.protocol ?? ""];
      if (other !== undefined) return other(conn);
      const timer = setTimeout(() => closeConn(conn, H3_REQUEST_REJECTED), HANDSHAKE_TIMEOUT_MS);
      await new Promise<void>((settle) => {
        conn.closed.then(() => settle(), () => settle());
        const connection = new H3Connection(conn, (request) => {
          this.#answer(connection, request, settle).catch(() => closeConn(conn, H3_MESSAGE_ERROR));
        });
        ignore(connection.start());
      });
      clearTimeout(timer);
    } finally {
      this.#pending--;
    }
  }

  /** One request. `settle` is called when it has become a session. */
  async #answer(connection: H3Connection, stream: RequestStream, settle: () => void): Promise<void> {
    const request = await readRequest(connection, stream);
    if (request === undefined) return refuseRequest(stream, 404);
    if (connection.hasSession) return request.refuse(429);
    try {
      await this.#options.onSession({
        ...request,
        accept: () => {
          if (connection.hasSession) return undefined;
          const session = request.accept();
          if (session === undefined) return undefined;
          this.#sessions.add(session);
          session.released.then(() => this.#sessions.delete(session));
          settle();
          return session;
        },
      });
    } catch {
      request.refuse(500);
    }
  }
}
