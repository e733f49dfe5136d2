import { errorMessage, TransportError } from "../../errors.ts";
import { H3_READ_BYTES, HANDSHAKE_TIMEOUT_MS, SESSION_STREAMS_MAX } from "../../limits.ts";
import { decodeConnectResponse, encodeConnectRequest } from "../h3/connect_request.ts";
import { FRAME_DATA, FRAME_HEADERS, FrameDecoder } from "../h3/frames.ts";
import { H3_NO_ERROR } from "../h3/webtransport.ts";
import type { Session } from "../transport.ts";
import { dial } from "./dial.ts";
import { ExactReader } from "./exact_reader.ts";
import { H3Connection } from "./h3_connection.ts";
import { type ConnectStream, H3Session } from "./h3_session.ts";
import { closeConn, diallingEndpoint, ignore, transportOptions } from "./quic.ts";

/** How to connect. */
export interface ConnectH3Options {
  /** SHA-256 of certificates, any of which is accepted whatever its name and lifetime. Without it, the web's rules. */
  readonly certHashes?: readonly Uint8Array[];
  /** PEM certificates of further authorities to trust. */
  readonly caCerts?: readonly string[];
  /** From the look-up of the name to the open session, in milliseconds. Default HANDSHAKE_TIMEOUT_MS. */
  readonly timeoutMs?: number;
  /** Further request headers; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The UDP socket to use. Default one that all clients of the process share. */
  readonly endpoint?: Deno.QuicEndpoint;
  /** Streams that the server may have open at once. Default SESSION_STREAMS_MAX. */
  readonly streamsMax?: number;
}

/**
 * Opens a WebTransport session over HTTP/3.
 *
 * @param url an https URL; path and query name the resource
 * @throws {TransportError} `connect-failed` (also when the server refuses: the message has its status),
 * `connect-timeout`
 */
export async function connectH3(url: string | URL, options: ConnectH3Options = {}): Promise<Session> {
  const target = new URL(url);
  if (target.protocol !== "https:") throw new TransportError("connect-failed", `${target.origin} is not an https URL`);
  const timeoutMs = options.timeoutMs ?? HANDSHAKE_TIMEOUT_MS;
  const abort = new AbortController();
  const timer = setTimeout(() => {
    abort.abort(
      new TransportError("connect-timeout", `${target.host} did not answer over UDP within ${timeoutMs} ms`, {
        hint: "UDP may be blocked on the way",
      }),
    );
  }, timeoutMs);
  try {
    const conn = await dial({
      host: target.hostname.replace(/^\[|\]$/g, ""),
      port: Number(target.port || 443),
      endpoint: options.endpoint ?? diallingEndpoint(),
      options: {
        ...transportOptions("client", options.streamsMax ?? SESSION_STREAMS_MAX),
        ...(options.certHashes && {
          serverCertificateHashes: options.certHashes.map((value) => ({ algorithm: "sha-256", value })),
        }),
        ...(options.caCerts && { caCerts: [...options.caCerts] }),
      },
    }, abort.signal);
    // A connection that is closed fails whatever waits on it.
    const cancel = () => closeConn(conn, H3_NO_ERROR);
    abort.signal.addEventListener("abort", cancel);
    try {
      return await openSession(conn, target, options.headers ?? {});
    } catch (error) {
      cancel();
      throw error;
    } finally {
      abort.signal.removeEventListener("abort", cancel);
    }
  } catch (error) {
    if (abort.signal.aborted) throw abort.signal.reason;
    if (error instanceof TransportError) throw error;
    throw new TransportError("connect-failed", `no session with ${target.host}: ${errorMessage(error)}`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

async function openSession(
  conn: Deno.QuicConn,
  target: URL,
  headers: Readonly<Record<string, string>>,
): Promise<Session> {
  const connection = new H3Connection(conn);
  await connection.start();
  const stream = await conn.createBidirectionalStream({ waitUntilAvailable: true, sendOrder: 1 });
  connection.keep(stream);
  const sessionId = Number(stream.writable.id);
  const writer = stream.writable.getWriter();
  const request = encodeConnectRequest({
    authority: target.host,
    path: target.pathname + target.search,
    headers: Object.entries(headers),
  });
  await writer.write(request);
  const reader = new ExactReader(stream.readable);
  const { status, ...rest } = await readAnswer(reader);
  if (status < 200 || status > 299) {
    ignore(writer.close());
    throw new TransportError("connect-failed", `${target.host} refused the session with HTTP status ${status}`);
  }
  const session = new H3Session(conn, { sessionId, reader, writer, ...rest });
  connection.attach(sessionId, session);
  return session;
}

/** Reads up to the final answer. Rejects when there is none. */
async function readAnswer(
  reader: ExactReader,
): Promise<{ status: number } & Pick<ConnectStream, "frames" | "early">> {
  const frames = new FrameDecoder("request");
  for (;;) {
    const chunk = await reader.readSome(H3_READ_BYTES);
    if (chunk === undefined) throw new TransportError("connect-failed", "the server ended the request unanswered");
    const events = frames.push(chunk);
    for (const [index, { type, payload }] of events.entries()) {
      if (type !== FRAME_HEADERS) continue;
      const status = decodeConnectResponse(payload);
      if (status < 200) continue;
      const early = events.slice(index + 1).filter((event) => event.type === FRAME_DATA);
      return { status, frames, early: early.map((event) => event.payload) };
    }
  }
}
