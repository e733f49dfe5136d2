import { DATAGRAM_QUEUE_MAX, H3_DATAGRAMS_SENDING_MAX } from "../../limits.ts";
import { decodeDatagram, encodeDatagramPrefix } from "../h3/webtransport.ts";
import { Inbox } from "../inbox.ts";
import type { Datagrams } from "../transport.ts";

/** Datagrams of one session. */
export class H3Datagrams implements Datagrams {
  readonly #conn: Deno.QuicConn;
  readonly #sessionId: number;
  readonly #prefix: Uint8Array;
  readonly #received = new Inbox<Uint8Array>(DATAGRAM_QUEUE_MAX);
  #sending = 0;
  #closed = false;

  constructor(conn: Deno.QuicConn, sessionId: number) {
    this.#conn = conn;
    this.#sessionId = sessionId;
    this.#prefix = encodeDatagramPrefix(sessionId);
    this.#receiveAll();
  }

  get maxSize(): number {
    return Math.max(0, this.#conn.maxDatagramSize - this.#prefix.length);
  }

  send(payload: Uint8Array): boolean {
    if (this.#closed || this.#sending >= H3_DATAGRAMS_SENDING_MAX || payload.length > this.maxSize) return false;
    const bytes = new Uint8Array(this.#prefix.length + payload.length);
    bytes.set(this.#prefix);
    bytes.set(payload, this.#prefix.length);
    const done = () => {
      this.#sending--;
    };
    this.#sending++;
    this.#conn.sendDatagram(bytes).then(done, done);
    return true;
  }

  receive(): Promise<Uint8Array | undefined> {
    return this.#received.take();
  }

  /** Drops what waits and ends the wait of a reader. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#received.close();
  }

  async #receiveAll(): Promise<void> {
    try {
      while (!this.#closed) {
        const payload = decodeDatagram(await this.#conn.readDatagram(), this.#sessionId);
        if (payload !== undefined) this.#received.push(payload);
      }
    } catch {
      // The connection ended; the session closes us when it has heard of that.
    }
  }
}
