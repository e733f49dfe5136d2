/** Peers that speak QUIC but do with HTTP/3 as they like, for tests. */

import { makeCertificate } from "../../../worker/edge/certificate.ts";
import { encodeConnectRequest } from "../h3/connect_request.ts";
import { encodeSettings, OUR_SETTINGS } from "../h3/settings.ts";
import { ALPN_H3, closeConn, type ConnectOptions, ignore } from "./quic.ts";

/** A connection to a server of ours. */
export class RawClient {
  readonly conn: Deno.QuicConn;
  /** Streams that the runtime must not collect. */
  readonly #kept: unknown[] = [];
  #settings: Promise<unknown> | undefined;

  private constructor(conn: Deno.QuicConn) {
    this.conn = conn;
    ignore(conn.closed);
  }

  static async connect(url: string, certHashes: readonly Uint8Array[], alpn = ALPN_H3): Promise<RawClient> {
    const options: ConnectOptions = {
      hostname: "127.0.0.1",
      port: Number(new URL(url).port),
      alpnProtocols: [alpn],
      serverCertificateHashes: certHashes.map((value) => ({ algorithm: "sha-256", value })),
    };
    return new RawClient(await Deno.connectQuic(options));
  }

  /** Opens a bidirectional stream and sends bytes on it. */
  async open(...bytes: Uint8Array[]): Promise<RawStream> {
    const stream = await this.conn.createBidirectionalStream({ waitUntilAvailable: true });
    this.#kept.push(stream);
    const raw = new RawStream(stream);
    for (const piece of bytes) await raw.write(piece);
    return raw;
  }

  /** Opens a unidirectional stream and sends bytes on it. */
  async openUni(...bytes: Uint8Array[]): Promise<WritableStreamDefaultWriter<Uint8Array>> {
    const writer = (await this.conn.createUnidirectionalStream({ waitUntilAvailable: true })).getWriter();
    this.#kept.push(writer);
    ignore(writer.closed);
    for (const piece of bytes) await writer.write(piece);
    return writer;
  }

  /** Sends settings, once, and a sound request; the stream that comes back has its answer in front. */
  async request(path = "/session"): Promise<RawStream> {
    this.#settings ??= this.openUni(new Uint8Array([0]), encodeSettings(OUR_SETTINGS));
    await this.#settings;
    return await this.open(encodeConnectRequest({ authority: "localhost", path, headers: [] }));
  }

  close(closeCode = 0): void {
    closeConn(this.conn, closeCode);
  }
}

/** A stream with both ends locked, whose failures do no harm. */
export class RawStream {
  readonly #reader: ReadableStreamBYOBReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(stream: Deno.QuicBidirectionalStream) {
    this.#reader = stream.readable.getReader({ mode: "byob" });
    this.#writer = stream.writable.getWriter();
    ignore(this.#reader.closed);
    ignore(this.#writer.closed);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#writer.write(bytes);
  }

  async finish(): Promise<void> {
    await this.#writer.close();
  }

  /** Some bytes; undefined at the end or when the stream broke. */
  async read(): Promise<Uint8Array | undefined> {
    const { value, done } = await this.#reader.read(new Uint8Array(4096)).catch(() => ({
      value: undefined,
      done: true,
    }));
    return done ? undefined : value;
  }

  /** Everything up to the end, or until the stream breaks. */
  async readAll(): Promise<Uint8Array> {
    const all: number[] = [];
    for (let piece = await this.read(); piece !== undefined; piece = await this.read()) all.push(...piece);
    return Uint8Array.from(all);
  }
}

/** A server that leaves each connection to the test. */
export async function rawServer(
  serve: (conn: Deno.QuicConn) => void | Promise<void>,
  options: Deno.QuicTransportOptions = {},
): Promise<{ url: string; certHashes: Uint8Array[]; close(): void }> {
  const { cert, key, sha256 } = await makeCertificate(["127.0.0.1"], Date.now());
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1" });
  const listener = endpoint.listen({ cert, key, alpnProtocols: [ALPN_H3], ...options });
  const run = async () => {
    for (;;) {
      const incoming = await listener.incoming();
      ignore(
        incoming.accept<false>().then((conn) => {
          ignore(conn.closed);
          return serve(conn);
        }),
      );
    }
  };
  ignore(run());
  return {
    url: `https://127.0.0.1:${endpoint.addr.port}/session`,
    certHashes: [sha256],
    close: () => endpoint.close(),
  };
}
