/** Makes `@fails-components/webtransport` (1.6.8) stop reading a stream that nobody reads. */

/** What is used of a stream object of the package. */
interface LibraryStream {
  readonly objint: { stopReading(): void };
  readonly readableController?: { readonly desiredSize: number | null };
  readonly readableclosed?: boolean;
  readonly finaldrain_?: boolean;
  commitReadBuffer(buffer: unknown): unknown;
}

const patched = new WeakSet<object>();

/**
 * The package hands every byte that arrives to the stream's queue and tells the peer to send more, whether somebody
 * reads or not, as its own check is skipped unless a read waits. Pauses the stream once a chunk lies in the queue; the
 * package goes on when that one is read.
 *
 * @param session a session of the package that has at least one stream
 */
export function keepBackPressure(session: object): void {
  const { streamObjs } = session as { streamObjs?: Iterable<LibraryStream> };
  const stream = streamObjs?.[Symbol.iterator]().next().value as LibraryStream | undefined;
  if (stream === undefined) return;
  const prototype = Object.getPrototypeOf(stream) as LibraryStream;
  if (patched.has(prototype)) return;
  patched.add(prototype);
  const commit = prototype.commitReadBuffer;
  prototype.commitReadBuffer = function (this: LibraryStream, buffer) {
    const result = commit.call(this, buffer);
    const queued = -(this.readableController?.desiredSize ?? 0);
    if (queued > 0 && !this.readableclosed && !this.finaldrain_) this.objint.stopReading();
    return result;
  };
}
