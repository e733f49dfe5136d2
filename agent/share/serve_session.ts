import { type RequestHandler, serveHttpStream } from "../../shared/http/response_stream.ts";
import { LINK_CHANNELS_MAX, SHARE_STREAMS_MAX } from "../../shared/limits.ts";
import { HANDSHAKE_REFUSED } from "../../shared/link/frame_io.ts";
import type { ShareLink, Via } from "../../shared/link/share_link.ts";
import type { ShareLinks } from "../../shared/link/share_links.ts";
import type { BidiStream, Session } from "../../shared/transport/transport.ts";
import { ByteReader } from "../../shared/wire/byte_reader.ts";
import { readStreamHeader } from "../../shared/wire/control.ts";
import { encodeVarint, readVarint } from "../../shared/wire/varint.ts";

/**
 * Serves what the relay opens on an attached session until it ends: requests of visitors, and with `links` the lanes and
 * datagrams of connectors. A bad stream costs only itself. Never rejects.
 */
export async function serveSession(session: Session, handler: RequestHandler, links?: ShareLinks): Promise<void> {
  const channels = new Channels(session);
  if (links !== undefined) void channels.receive();
  let open = 0;
  for (;;) {
    const stream = await session.acceptStream();
    if (stream === undefined) return;
    if (open >= SHARE_STREAMS_MAX) {
      refuse(stream);
      continue;
    }
    open++;
    void serveStream(stream, handler, links, channels).finally(() => open--);
  }
}

async function serveStream(
  stream: BidiStream,
  handler: RequestHandler,
  links: ShareLinks | undefined,
  channels: Channels,
): Promise<void> {
  const bytes = new ByteReader(stream.readable);
  const header = await readStreamHeader(bytes).catch(() => undefined);
  if (header?.k === "http") {
    await serveHttpStream(bytes, stream.writable, handler);
  } else if (header?.k === "link" && links !== undefined) {
    const { ch, from } = header;
    await links.serveLane(bytes, stream, channels.via(ch, from), (link) => channels.set(ch, link));
  } else {
    const writer = stream.writable.getWriter();
    if (header?.k === "link") writer.write(HANDSHAKE_REFUSED).catch(() => {});
    writer.close().catch(() => {});
    void bytes.cancel();
  }
}

/** Sessions so far: their channels are told apart. */
let sessions = 0;

/** Which link the datagrams of which connector belong to, on one session. */
class Channels {
  readonly #session: Session;
  readonly #number = sessions++;
  readonly #links = new Map<number, ShareLink>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** The way back to the connector on a channel. */
  via(channel: number | undefined, from: string | undefined): Via {
    const { datagrams } = this.#session;
    const prefix = channel === undefined ? undefined : encodeVarint(channel);
    return {
      session: this.#number,
      channel,
      from,
      get datagramMaxSize() {
        return prefix === undefined ? 0 : Math.max(0, datagrams.maxSize - prefix.length);
      },
      sendDatagram(payload) {
        if (prefix === undefined) return;
        const datagram = new Uint8Array(prefix.length + payload.length);
        datagram.set(prefix);
        datagram.set(payload, prefix.length);
        datagrams.send(datagram);
      },
    };
  }

  set(channel: number | undefined, link: ShareLink): void {
    if (channel === undefined) return;
    this.#links.delete(channel);
    this.#links.set(channel, link);
    if (this.#links.size > LINK_CHANNELS_MAX) this.#links.delete(this.#links.keys().next().value!);
  }

  /** Hands datagrams to their links until the session ends. Never rejects. */
  async receive(): Promise<void> {
    for (;;) {
      const datagram = await this.#session.datagrams.receive();
      if (datagram === undefined) return;
      const channel = channelOf(datagram);
      if (channel !== undefined) this.#links.get(channel.value)?.receiveDatagram(datagram.subarray(channel.end));
    }
  }
}

function channelOf(datagram: Uint8Array): { value: number; end: number } | undefined {
  try {
    return readVarint(datagram, 0);
  } catch {
    return undefined;
  }
}

function refuse(stream: BidiStream): void {
  stream.readable.cancel().catch(() => {});
  stream.writable.close().catch(() => {});
}
