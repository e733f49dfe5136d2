import type { RequestHandler, RequestSink, Responder } from "../../shared/http/response_stream.ts";

/** One request that has come to its end. */
export interface RequestRecord {
  readonly method: string;
  /** As the visitor sent it: show it only escaped. */
  readonly path: string;
  /** The origin's status; undefined when it gave none. */
  readonly status: number | undefined;
  /** From the request's arrival at the agent to its end, in milliseconds. */
  readonly ms: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Why it broke off; undefined when it ended well. */
  readonly error: string | undefined;
}

/** Wraps a handler so that every request is told to `record` once it has ended. `now` is in milliseconds. */
export function observed(
  handler: RequestHandler,
  now: () => number,
  record: (request: RequestRecord) => void,
): RequestHandler {
  return (head, responder) => {
    const watch = new Watch(responder, head.method, head.target, now, record);
    watch.sink = handler(head, watch);
    return watch.body;
  };
}

class Watch implements Responder {
  sink: RequestSink | undefined;
  readonly #out: Responder;
  readonly #method: string;
  readonly #path: string;
  readonly #now: () => number;
  readonly #record: (request: RequestRecord) => void;
  readonly #start: number;
  #status: number | undefined;
  #bytesIn = 0;
  #bytesOut = 0;
  #told = false;

  constructor(
    out: Responder,
    method: string,
    path: string,
    now: () => number,
    record: (request: RequestRecord) => void,
  ) {
    this.#out = out;
    this.#method = method;
    this.#path = path;
    this.#now = now;
    this.#record = record;
    this.#start = now();
  }

  info(head: Parameters<Responder["info"]>[0]): void {
    this.#out.info(head);
  }

  head(head: Parameters<Responder["head"]>[0]): void {
    this.#status = head.status;
    this.#out.head(head);
  }

  data(chunk: Uint8Array): boolean {
    this.#bytesOut += chunk.length;
    return this.#out.data(chunk);
  }

  ready(): Promise<void> {
    return this.#out.ready();
  }

  end(trailers?: readonly string[]): void {
    this.#out.end(trailers);
    this.#tell(undefined);
  }

  abort(code: string, message: string): void {
    this.#out.abort(code, message);
    this.#tell(code);
  }

  /** The request's side of the same exchange. */
  readonly body: RequestSink = {
    data: (chunk: Uint8Array) => {
      this.#bytesIn += chunk.length;
      return this.sink?.data(chunk);
    },
    end: (trailers) => this.sink?.end(trailers),
    aborted: (code, message) => {
      this.sink?.aborted(code, message);
      this.#tell(code);
    },
  };

  #tell(error: string | undefined): void {
    if (this.#told) return;
    this.#told = true;
    this.#record({
      method: this.#method,
      path: this.#path,
      status: this.#status,
      ms: this.#now() - this.#start,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      error,
    });
  }
}
