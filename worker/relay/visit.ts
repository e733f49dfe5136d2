/** A visitor's request carried to a share that is attached to this very object, as Workers have requests. */
import { errorCode } from "../../shared/errors.ts";
import { forwardRequestHeaders, isFramed, type VisitorFacts } from "../../shared/http/forward.ts";
import type { RequestHead } from "../../shared/http/head.ts";
import type { RequestStream } from "../../shared/http/request_stream.ts";
import type { StreamPool } from "../../shared/relay/stream_pool.ts";
import { uploadTooLarge } from "../pages/problem_response.ts";
import { Answer, type ProblemAnswer } from "./answer.ts";
import { fieldBytes } from "./field_text.ts";
import { type Room, roomOf } from "./room.ts";
import { isWebSocketRequest, upgradeHere } from "./upgrade_here.ts";

/**
 * Carries one request and its answer, or a WebSocket.
 * @param otherProblem the answer when it comes to nothing
 * @param bodyMaxBytes of a request's body; without it as many as the platform lets through
 */
export async function visitHere(
  pool: StreamPool,
  request: Request,
  visitor: VisitorFacts,
  otherProblem: ProblemAnswer,
  bodyMaxBytes = Infinity,
): Promise<Response> {
  const room = roomOf(pool);
  const problem: ProblemAnswer = (code) =>
    code === "upload-too-large" ? uploadTooLarge(request, visitor.host, bodyMaxBytes) : otherProblem(code);
  try {
    if (isWebSocketRequest(request)) return await upgradeHere(pool, request, visitor, problem, room);
    const stream = await pool.acquire();
    return await carry(stream, request, visitor, problem, room, bodyMaxBytes);
  } catch (error) {
    return problem(notBegun(error));
  }
}

/** Why a request could not be begun: here `too-large` can only mean its head. */
function notBegun(error: unknown): string {
  const code = errorCode(error);
  return code === "rate-limited" ? "too-busy" : code === "too-large" ? "headers-too-large" : code;
}

/** @throws {ProtocolError} `too-large` */
function carry(
  stream: RequestStream,
  request: Request,
  visitor: VisitorFacts,
  problem: ProblemAnswer,
  room: Room,
  bodyMaxBytes: number,
): Promise<Response> {
  const { body, signal } = request;
  const answer = new Answer(stream, request.method, problem, room);
  stream.begin(headOf(request, visitor), answer);
  if (signal.aborted) answer.leave();
  signal.addEventListener("abort", () => answer.leave(), { once: true });
  if (body === null) stream.end();
  else void sendBody(body, stream, answer, bodyMaxBytes);
  return answer.response;
}

function headOf(request: Request, visitor: VisitorFacts): RequestHead {
  const { pathname, search } = new URL(request.url);
  const headers = [...request.headers].flat().map(fieldBytes);
  // Where the runtime has taken the framing away, a body of unknown length is one in chunks.
  if (request.body !== null && !isFramed(headers)) {
    headers.push("Transfer-Encoding", "chunked");
  }
  return { method: request.method, target: pathname + search, headers: forwardRequestHeaders(headers, visitor, false) };
}

async function sendBody(
  body: ReadableStream<Uint8Array>,
  stream: RequestStream,
  answer: Answer,
  maxBytes: number,
): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > maxBytes) return answer.giveUp("visitor-gone", "the body is larger than may be", "upload-too-large");
      if (!stream.data(chunk)) await stream.ready();
    }
    stream.end();
  } catch {
    answer.leave();
  }
}
