import { type RequestHandler, serveHttpStream } from "../../shared/http/response_stream.ts";
import { SHARE_STREAMS_MAX } from "../../shared/limits.ts";
import type { BidiStream, Session } from "../../shared/transport/transport.ts";
import { ByteReader } from "../../shared/wire/byte_reader.ts";
import { readStreamHeader } from "../../shared/wire/control.ts";

/**
 * Serves the streams that the relay opens on an attached session, until the session ends. A bad stream costs only itself.
 * Never rejects.
 */
export async function serveSession(session: Session, handler: RequestHandler): Promise<void> {
  let open = 0;
  for (;;) {
    const stream = await session.acceptStream();
    if (stream === undefined) return;
    if (open >= SHARE_STREAMS_MAX) {
      refuse(stream);
      continue;
    }
    open++;
    void serveStream(stream, handler).finally(() => open--);
  }
}

async function serveStream(stream: BidiStream, handler: RequestHandler): Promise<void> {
  const bytes = new ByteReader(stream.readable);
  const header = await readStreamHeader(bytes).catch(() => undefined);
  if (header === undefined) {
    void bytes.cancel();
    stream.writable.close().catch(() => {});
    return;
  }
  await serveHttpStream(bytes, stream.writable, handler);
}

function refuse(stream: BidiStream): void {
  stream.readable.cancel().catch(() => {});
  stream.writable.close().catch(() => {});
}
