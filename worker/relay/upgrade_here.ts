/** A visitor's WebSocket carried to a share that is attached to this very object. */
import { forwardRequestHeaders, forwardResponseHeaders, type VisitorFacts } from "../../shared/http/forward.ts";
import { header, type ResponseHead } from "../../shared/http/head.ts";
import type { RequestStream, ResponseSink } from "../../shared/http/request_stream.ts";
import { secureRandom } from "../../shared/random.ts";
import type { StreamPool } from "../../shared/relay/stream_pool.ts";
import { Answer, type ProblemAnswer } from "./answer.ts";
import { fieldBytes, fieldText } from "./field_text.ts";
import type { Room } from "./room.ts";
import { SocketBridge } from "./socket_bridge.ts";

/**
 * Fields of a handshake that each of the two has for itself. Workers have no frames, so nothing that changes their form may
 * be agreed on through them.
 */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  "sec-websocket-key",
  "sec-websocket-version",
  "sec-websocket-extensions",
  "sec-websocket-accept",
  // Of a body, which no handshake has.
  "content-length",
  "transfer-encoding",
]);

/** Of RFC 6455, 1.3. */
const HANDSHAKE_ID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** True for a request that Workers can answer with a WebSocket. Any other upgrade is a plain request to them. */
export function isWebSocketRequest({ method, headers }: Request): boolean {
  return method === "GET" && headers.get("upgrade")?.toLowerCase() === "websocket";
}

/**
 * Shakes hands with the origin as a client of its own. The answer is a WebSocket, or what the origin says instead.
 * @throws {SpanwayError} when the request could not be begun
 */
export async function upgradeHere(
  pool: StreamPool,
  request: Request,
  visitor: VisitorFacts,
  problem: ProblemAnswer,
  room: Room,
): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const key = btoa(String.fromCharCode(...secureRandom(16)));
  const proof = await proofOf(key);
  const headers = forwardRequestHeaders(withoutOwn([...request.headers].flat().map(fieldBytes)), visitor, true);
  headers.push("Sec-WebSocket-Key", key, "Sec-WebSocket-Version", "13");
  const stream = await pool.acquire();
  const visit = new UpgradeVisit(stream, proof, new Answer(stream, request.method, problem, room), room);
  stream.begin({ method: "GET", target: pathname + search, headers }, visit);
  if (request.signal.aborted) visit.leave();
  request.signal.addEventListener("abort", () => visit.leave(), { once: true });
  return await visit.response;
}

class UpgradeVisit implements ResponseSink {
  readonly #stream: RequestStream;
  readonly #proof: string;
  readonly #room: Room;
  readonly #upgraded = Promise.withResolvers<Response>();
  /** Of the origin that does not upgrade. */
  readonly #answer: Answer;
  #bridge: SocketBridge | undefined;

  constructor(stream: RequestStream, proof: string, answer: Answer, room: Room) {
    this.#stream = stream;
    this.#proof = proof;
    this.#answer = answer;
    this.#room = room;
  }

  get response(): Promise<Response> {
    return Promise.race([this.#upgraded.promise, this.#answer.response]);
  }

  /** The visitor is gone. What became a WebSocket tells so itself. */
  leave(): void {
    if (this.#bridge === undefined) this.#answer.leave();
  }

  info(): void {
    // Workers have no interim responses.
  }

  head(head: ResponseHead): void {
    if (head.status !== 101) return this.#answer.head(head);
    if (header(head.headers, "sec-websocket-accept")?.trim() !== this.#proof) {
      return this.#answer.giveUp("origin-failed", "the origin's WebSocket handshake proves nothing");
    }
    const { 0: client, 1: server } = new WebSocketPair();
    server.binaryType = "arraybuffer";
    server.accept();
    this.#bridge = new SocketBridge(server, this.#stream, this.#room.sockets);
    const headers = new Headers();
    const forwarded = withoutOwn(forwardResponseHeaders(head.headers, false));
    for (let i = 0; i + 1 < forwarded.length; i += 2) headers.append(forwarded[i]!, fieldText(forwarded[i + 1]!));
    this.#upgraded.resolve(new Response(null, { status: 101, webSocket: client, headers }));
  }

  data(chunk: Uint8Array): void | Promise<void> {
    return (this.#bridge ?? this.#answer).data(chunk);
  }

  caughtUp(): void {
    this.#answer.caughtUp();
  }

  end(): void {
    (this.#bridge ?? this.#answer).end();
  }

  failed(code: string): void {
    (this.#bridge ?? this.#answer).failed(code);
  }
}

function withoutOwn(headers: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (!OWN_FIELDS.has(headers[i]!.toLowerCase())) out.push(headers[i]!, headers[i + 1]!);
  }
  return out;
}

/** The `Sec-WebSocket-Accept` that belongs to a key. */
async function proofOf(key: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(key + HANDSHAKE_ID));
  return btoa(String.fromCharCode(...new Uint8Array(hash)));
}
