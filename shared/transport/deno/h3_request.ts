import { TransportError } from "../../errors.ts";
import { H3_READ_BYTES } from "../../limits.ts";
import { type ConnectRequest, decodeConnectRequest, encodeConnectResponse } from "../h3/connect_request.ts";
import { FRAME_DATA, FRAME_HEADERS, FrameDecoder } from "../h3/frames.ts";
import type { H3Connection, RequestStream } from "./h3_connection.ts";
import { H3Session } from "./h3_session.ts";
import { ignore, remoteAddress } from "./quic.ts";
import type { Session } from "../transport.ts";

/** A request for a session, to be answered once within HANDSHAKE_TIMEOUT_MS. */
export interface SessionRequest extends ConnectRequest {
  /** The peer as `IP:port`. */
  readonly remoteAddress: string;
  /** Takes the session. @throws {TransportError} `session-closed` when the request was answered before */
  accept(): Session;
  /** Refuses it with an HTTP status of 300 or above. Does nothing when the request was answered before. */
  refuse(status: number): void;
}

/**
 * Reads the head of a request; undefined when it asks for something else than a session, or ends early.
 *
 * @param accepted is called with the session once there is one
 * @throws {ProtocolError} a malformed request. Rejects too when the stream breaks.
 */
export async function readRequest(
  connection: H3Connection,
  { stream, reader, begun }: RequestStream,
  accepted: (session: H3Session) => void,
): Promise<SessionRequest | undefined> {
  const sessionId = Number(stream.writable.id);
  // Ahead of all other streams: a close must not wait behind megabytes.
  stream.writable.sendOrder = 1;
  const frames = new FrameDecoder("request");
  for (let chunk: Uint8Array | undefined = begun; chunk !== undefined; chunk = await reader.readSome(H3_READ_BYTES)) {
    const events = frames.push(chunk);
    const head = events.findIndex(({ type }) => type === FRAME_HEADERS);
    if (head < 0) continue;
    const request = decodeConnectRequest(events[head]!.payload);
    if (request === undefined) return undefined;
    const early = events.slice(head + 1).filter(({ type }) => type === FRAME_DATA).map(({ payload }) => payload);
    let answered = false;
    return {
      ...request,
      remoteAddress: remoteAddress(connection.conn),
      accept() {
        if (answered) throw new TransportError("session-closed", "the request for a session was answered before");
        answered = true;
        const writer = stream.writable.getWriter();
        ignore(writer.write(encodeConnectResponse(200)));
        connection.keep(stream);
        const session = new H3Session(connection.conn, { sessionId, reader, writer, frames, early });
        connection.attach(sessionId, session);
        accepted(session);
        return session;
      },
      refuse(status) {
        if (answered) return;
        answered = true;
        connection.unclaim();
        refuseRequest({ stream, reader, begun }, status);
      },
    };
  }
  return undefined;
}

/** Answers a request with a status and nothing else. */
export function refuseRequest({ stream, reader }: RequestStream, status: number): void {
  const writer = stream.writable.getWriter();
  ignore(writer.write(encodeConnectResponse(status)).then(() => writer.close()));
  ignore(reader.cancel());
}
