import { Buffer } from "node:buffer";
import http from "node:http";

/** A request of a test, with any Host. */
export interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
}

/** A complete answer. */
export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Uint8Array;
  readonly text: string;
  /** The body as JSON; null if it is none. */
  // deno-lint-ignore no-explicit-any -- tests look into answers of every shape
  readonly json: any;
}

/** Sends one request on a connection of its own. Rejects when the answer breaks off. */
export function call(port: number, { method = "GET", path = "/", host, headers = {}, body }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: "127.0.0.1",
      port,
      method,
      path,
      agent: false,
      headers: { ...(host === undefined ? {} : { host }), ...headers },
    });
    request.on("error", reject);
    request.on("response", (response) => {
      const chunks: Uint8Array[] = [];
      response.on("data", (chunk: Uint8Array) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const bytes = new Uint8Array(Buffer.concat(chunks));
        const text = new TextDecoder().decode(bytes);
        resolve({ status: response.statusCode!, headers: response.headers, body: bytes, text, json: parse(text) });
      });
    });
    request.end(body);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
