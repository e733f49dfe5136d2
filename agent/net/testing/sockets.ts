/** Real sockets for tests. */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { SOCKET_OPTIONS } from "../socket_end.ts";

/** A connection over the loopback address: its dialled and its accepted side, both paused. */
export async function socketPair(): Promise<{ dialled: Socket; accepted: Socket; close(): void }> {
  const server = createServer({ ...SOCKET_OPTIONS, pauseOnConnect: true });
  const port = await listening(server);
  const dialled = connect({ ...SOCKET_OPTIONS, host: "127.0.0.1", port });
  dialled.pause();
  const [[accepted]] = await Promise.all([once(server, "connection") as Promise<[Socket]>, once(dialled, "connect")]);
  server.close();
  for (const socket of [dialled, accepted]) socket.on("error", () => {});
  return { dialled, accepted, close: () => [dialled, accepted].forEach((socket) => socket.destroy()) };
}

/** Starts a server on a free port of 127.0.0.1, which it returns. */
export async function listening(server: Server, host = "127.0.0.1"): Promise<number> {
  await once(server.listen(0, host), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** How a raw socket ended, and all that it received until then. Reads from now on. */
export function drain(socket: Socket): Promise<{ how: "end" | "reset" | "closed"; bytes: Uint8Array }> {
  const chunks: Uint8Array[] = [];
  return new Promise((resolve) => {
    const end = (how: "end" | "reset" | "closed") => resolve({ how, bytes: Buffer.concat(chunks) });
    socket.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    socket.on("end", () => end("end"));
    socket.on("error", (error) => end((error as { code?: string }).code === "ECONNRESET" ? "reset" : "closed"));
    socket.on("close", () => end("closed"));
    socket.resume();
  });
}

export function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

export function bytes(of: string): Uint8Array {
  return new TextEncoder().encode(of);
}
