/**
 * How the owner of a running share talks to it from another terminal: one line of JSON each way over loopback. Who knows
 * the secret can read the owner's files. The relay has no part in it.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { connect, createServer, type Socket } from "node:net";
import { concatBytes } from "@noble/hashes/utils.js";
import { errorCode, errorMessage, SpanwayError } from "../../shared/errors.ts";
import { OWNER_ANSWER_TIMEOUT_MS, OWNER_CALLS_MAX, OWNER_MESSAGE_MAX_BYTES } from "../../shared/limits.ts";
import type { OwnerDoor } from "../home/running.ts";
import { listenOnLoopback } from "../net/loopback.ts";

const SECRET_BYTES = 24;

/** What a share is asked for: `do` says what. */
export type OwnerRequest = { readonly do: "sessions" } | { readonly do: "kick"; readonly session: string };

/** Answers a request. @throws {SpanwayError} what to say instead */
export type OwnerHandler = (request: Readonly<Record<string, unknown>>) => unknown;

/** Opens the door of this process. It does not keep the process running. */
export async function openDoor(handle: OwnerHandler): Promise<OwnerDoor & { close(): void }> {
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  const server = createServer((socket) => void serve(socket, secret, handle));
  server.maxConnections = OWNER_CALLS_MAX;
  const port = await listenOnLoopback(server);
  return { port, secret, close: () => void server.close() };
}

/**
 * Asks a running share.
 * @returns its answer, in the form of the request
 * @throws {SpanwayError} what the share says; `unavailable` when it says nothing sensible
 */
export async function askShare(door: OwnerDoor, request: OwnerRequest): Promise<unknown> {
  const socket = connect({ host: "127.0.0.1", port: door.port });
  socket.on("connect", () => socket.write(`${JSON.stringify({ secret: door.secret, ...request })}\n`));
  const answer = parse(await readLine(socket));
  socket.destroy();
  const { ok, error } = answer as { ok?: unknown; error?: { code?: unknown; message?: unknown; hint?: unknown } };
  if (ok !== undefined) return ok;
  if (typeof error?.code !== "string" || typeof error.message !== "string") {
    throw new SpanwayError("unavailable", "The running share does not answer.", { hint: "Try again in a moment." });
  }
  throw new SpanwayError(error.code, error.message, typeof error.hint === "string" ? { hint: error.hint } : {});
}

async function serve(socket: Socket, secret: string, handle: OwnerHandler): Promise<void> {
  const { secret: shown, ...request } = parse(await readLine(socket));
  if (typeof shown !== "string" || !same(shown, secret)) return void socket.destroy();
  let answer: unknown;
  try {
    answer = { ok: await handle(request) ?? null };
  } catch (error) {
    const hint = error instanceof SpanwayError ? error.hint : undefined;
    answer = { error: { code: errorCode(error), message: errorMessage(error), hint } };
  }
  socket.end(`${JSON.stringify(answer)}\n`);
}

function same(one: string, other: string): boolean {
  const [a, b] = [new TextEncoder().encode(one), new TextEncoder().encode(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** The first line, or nothing when none comes in time. Never rejects. */
function readLine(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    const done = (line: string) => {
      clearTimeout(timer);
      resolve(line);
    };
    const timer = setTimeout(() => {
      socket.destroy();
      done("");
    }, OWNER_ANSWER_TIMEOUT_MS);
    socket.on("error", () => done(""));
    socket.on("close", () => done(""));
    socket.on("data", (chunk: Uint8Array) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > OWNER_MESSAGE_MAX_BYTES) return void socket.destroy();
      const end = chunk.indexOf(10);
      if (end >= 0) done(new TextDecoder().decode(concatBytes(...chunks)).split("\n", 1)[0]!);
    });
  });
}

function parse(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : {};
  } catch {
    return {};
  }
}
