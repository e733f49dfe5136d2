import type { BidiStream, Session } from "../transport/transport.ts";

/**
 * Takes the streams that a peer opens, from the first moment on. The first is its control stream; what becomes of the
 * others is for `handle` to say. Until somebody sets it they lead nowhere: a peer who has not been admitted yet must not
 * be able to fill them.
 */
export class IncomingStreams {
  /** The peer's first stream; undefined when the session ended before. */
  readonly first: Promise<BidiStream | undefined>;
  /** Called with every stream but the first. */
  handle: (stream: BidiStream) => void = refuseStream;

  constructor(session: Session) {
    this.first = session.acceptStream();
    void this.#takeAll(session);
  }

  async #takeAll(session: Session): Promise<void> {
    if (await this.first === undefined) return;
    for (;;) {
      const stream = await session.acceptStream();
      if (stream === undefined) return;
      this.handle(stream);
    }
  }
}

/** Lets go of a stream: its peer reads an end and is told to stop sending. */
export function refuseStream(stream: BidiStream): void {
  stream.readable.cancel().catch(() => {});
  stream.writable.abort().catch(() => {});
}
