/**
 * Tells whether the process that wrote a record still lives. Asking for a process id would need the right to signal any
 * process, and ids are used again; so every living share keeps a listener on the loopback address that says a nonce, and
 * the system takes it away however the process ends.
 */
import { randomBytes } from "node:crypto";
import { connect, createServer } from "node:net";
import { ALIVE_PROBE_TIMEOUT_MS, ALIVE_PROBES_MAX } from "../../shared/limits.ts";
import { listenOnLoopback } from "../net/loopback.ts";

const NONCE_CHARS = 32;

/** Where a process can be asked whether it is still the one that wrote this. */
export interface LifeSign {
  readonly port: number;
  readonly nonce: string;
}

/** Starts giving a sign of life until `close` or the end of the process. It does not keep the process running. */
export async function giveLifeSign(): Promise<LifeSign & { close(): void }> {
  const nonce = randomBytes(NONCE_CHARS / 2).toString("hex");
  const server = createServer((socket) => {
    socket.on("error", () => {}).resume();
    socket.setTimeout(ALIVE_PROBE_TIMEOUT_MS, () => socket.destroy());
    socket.end(nonce);
  });
  server.maxConnections = ALIVE_PROBES_MAX;
  const port = await listenOnLoopback(server);
  return { port, nonce, close: () => void server.close() };
}

/** True while the process that gave `sign` lives, even when it is stopped and cannot answer. Never rejects. */
export function isAlive(sign: LifeSign): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: sign.port });
    let heard = "";
    let connected = false;
    const end = (alive: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(alive);
    };
    // Connected but silent: stopped (Ctrl-Z) or very busy, not dead.
    const timer = setTimeout(() => end(connected), ALIVE_PROBE_TIMEOUT_MS);
    socket.on("connect", () => connected = true);
    socket.on("data", (chunk) => {
      heard += chunk.toString("latin1");
      if (heard.length >= NONCE_CHARS) end(heard === sign.nonce);
    });
    socket.on("end", () => end(heard === sign.nonce));
    socket.on("error", () => end(false));
  });
}
