/** Visitors for tests: a plain HTTP client, a raw socket, and curl. */
import { Buffer } from "node:buffer";
import { execFile } from "node:child_process";
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import net, { type Socket } from "node:net";
import { PATIENCE_MS } from "./spanway.ts";

/** Whom to visit: a `RunningShare`, or any Host at a port of this machine. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly url?: string;
}

export interface VisitOptions {
  readonly method?: string;
  /** Flat list: name, value, name, value. Host is added. */
  readonly headers?: readonly string[];
  readonly body?: Uint8Array | string;
  readonly agent?: http.Agent;
  /** For HTTPS: the certificate to trust. */
  readonly ca?: string;
}

export interface Visited {
  readonly status: number;
  readonly reason: string;
  /** Flat, as received. */
  readonly raw: readonly string[];
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
  readonly trailers: readonly string[];
  readonly infos: readonly { status: number; raw: readonly string[] }[];
}

/** Opens a request whose body the test writes itself. */
export function open(place: Place, path: string, options: VisitOptions = {}): http.ClientRequest {
  const secure = place.url?.startsWith("https:") === true;
  return (secure ? https : http).request({
    host: "127.0.0.1",
    port: place.port,
    method: options.method ?? "GET",
    path,
    setHost: false,
    headers: ["Host", place.host, ...(options.headers ?? [])],
    agent: options.agent ?? false,
    maxHeaderSize: 256 * 1024,
    ...(secure ? { ca: options.ca, servername: place.host.split(":")[0], checkServerIdentity: () => undefined } : {}),
  } as https.RequestOptions);
}

/** One request and its whole answer. Rejects when the transfer breaks. */
export async function visit(place: Place, path: string, options: VisitOptions = {}): Promise<Visited> {
  const { body } = options;
  const framed = options.headers?.some((name, i) => i % 2 === 0 && /^(content-length|transfer-encoding)$/i.test(name));
  const headers = [...(options.headers ?? [])];
  if (body !== undefined && !framed) headers.push("Content-Length", String(Buffer.byteLength(body)));
  const request = open(place, path, { ...options, headers });
  request.end(body);
  return await answerTo(request);
}

/** Reads the whole answer to a request. */
export async function answerTo(request: http.ClientRequest): Promise<Visited> {
  const infos: { status: number; raw: readonly string[] }[] = [];
  request.on("information", (info) => infos.push({ status: info.statusCode, raw: info.rawHeaders }));
  const response = await headOf(request);
  const chunks: Uint8Array[] = [];
  for await (const chunk of response) chunks.push(chunk);
  if (!response.complete) throw new Error("the answer broke off");
  return {
    status: response.statusCode!,
    reason: response.statusMessage!,
    raw: response.rawHeaders,
    headers: response.headers,
    body: Buffer.concat(chunks),
    trailers: response.rawTrailers,
    infos,
  };
}

/** Waits for the head of the answer. */
export function headOf(request: http.ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on("response", resolve);
    request.on("error", reject);
    request.on("close", () => reject(new Error("closed without an answer")));
  });
}

/** Values of all fields of that name (lower case), in order. */
export function fields(raw: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < raw.length; i += 2) if (raw[i]!.toLowerCase() === name) values.push(raw[i + 1]!);
  return values;
}

/** A socket that says exactly what the test wants, and keeps what it hears as Latin-1 text. */
export class RawVisitor {
  readonly socket: Socket;
  heard = "";
  /** "end" after a clean end, "reset" after any other. */
  readonly closed: Promise<"end" | "reset">;
  readonly #listeners = new Set<() => void>();
  #over = false;

  constructor(port: number) {
    this.socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    this.socket.setNoDelay(true);
    this.closed = new Promise((resolve) => {
      this.socket.on("end", () => {
        resolve("end");
        this.socket.end();
      });
      this.socket.on("error", () => resolve("reset"));
      this.socket.on("close", () => {
        resolve("reset");
        this.#over = true;
        this.#changed();
      });
    });
    this.socket.on("data", (chunk) => {
      this.heard += chunk.toString("latin1");
      this.#changed();
    });
  }

  send(text: string): this {
    this.socket.write(Buffer.from(text, "latin1"));
    return this;
  }

  /** Waits until what was heard matches. */
  async until(pattern: RegExp, timeoutMs = PATIENCE_MS): Promise<RegExpExecArray> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#changed();
    }, timeoutMs);
    try {
      for (;;) {
        const match = pattern.exec(this.heard);
        if (match !== null) return match;
        if (late || this.#over) {
          throw new Error(`${late ? "timed out" : "closed"} before ${pattern}; heard ${JSON.stringify(this.heard)}`);
        }
        await new Promise<void>((resolve) => this.#listeners.add(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for the other side to close, then returns everything that was heard. */
  async all(): Promise<string> {
    await this.closed;
    return this.heard;
  }

  close(): void {
    this.socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #changed(): void {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}

/** Runs curl. Never rejects: its exit code is part of the result. */
export function curl(args: readonly string[]): Promise<{ code: number; out: Buffer; err: string }> {
  return new Promise((resolve) => {
    const options = { encoding: "buffer", maxBuffer: 64 * 1024 * 1024 } as const;
    execFile("curl", ["-sS", "-4", "--max-time", "300", ...args], options, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, out, err: err.toString() });
    });
  });
}

/** Resolves with the first value of an emitter's event. */
export function within<T>(promise: Promise<T>, what: string, ms = PATIENCE_MS): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
