import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { ProblemCode } from "../../shared/problem/catalogue.ts";
import { type ProblemResponse, shareProblem } from "../../shared/problem/problem.ts";

/** How the codes of our errors and of an agent's ABORT look to a visitor. Anything else is a failed origin. */
const CODES: ReadonlyMap<string, ProblemCode> = new Map([
  ["origin-refused", "origin-refused"],
  ["origin-failed", "origin-failed"],
  ["origin-timeout", "origin-timeout"],
  ["origin-certificate", "origin-certificate"],
  ["too-busy", "too-busy"],
  ["too-many-streams", "too-busy"],
  ["bad-request", "bad-request"],
  ["headers-too-large", "headers-too-large"],
  ["share-away", "share-away"],
  ["session-closed", "share-away"],
  ["stream-cut", "share-away"],
  ["share-expired", "share-expired"],
  ["share-ended", "share-ended"],
  ["unavailable", "unavailable"],
]);

/** Answers a request with a problem page. Does nothing when an answer has begun. */
export function sendProblem(req: IncomingMessage, res: ServerResponse, code: string, share: string | undefined): void {
  if (res.headersSent || res.destroyed) return;
  const answer = answerFor(req, code, share);
  res.writeHead(answer.status, { ...answer.headers, "content-length": Buffer.byteLength(answer.body) });
  res.end(answer.body);
}

/** The same on a raw socket, which is closed afterwards. */
export function writeProblem(req: IncomingMessage, socket: Duplex, code: string, share: string | undefined): void {
  if (socket.destroyed) return;
  const answer = answerFor(req, code, share);
  let head = `HTTP/1.1 ${answer.status} \r\n`;
  for (const [name, value] of Object.entries(answer.headers)) head += `${name}: ${value}\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(answer.body)}\r\nconnection: close\r\n\r\n${answer.body}`);
}

function answerFor(req: IncomingMessage, code: string, share: string | undefined): ProblemResponse {
  const known = CODES.get(code) ?? "origin-failed";
  return shareProblem(known, { method: req.method ?? "GET", accept: req.headers.accept }, share);
}
