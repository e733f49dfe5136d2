import type { IncomingMessage } from "node:http";

interface Watched {
  readonly req: IncomingMessage;
  bytes: number;
  since: number | undefined;
}

/**
 * Finds request bodies that do not go on although somebody wants them: an unfinished body holds a place of a share or a
 * way to the Worker. Bodies that wait for us are left alone.
 */
export class BodyWatch<Peer> {
  readonly #stallMs: number;
  readonly #watched = new Map<Peer, Watched>();

  constructor(stallMs: number) {
    this.#stallMs = stallMs;
  }

  /** Watches the body of a socket's request until it is forgotten. */
  watch(peer: Peer, req: IncomingMessage): void {
    this.#watched.set(peer, { req, bytes: -1, since: undefined });
  }

  forget(peer: Peer): void {
    this.#watched.delete(peer);
  }

  /** Requests whose body has stood still for too long; they are forgotten. `now` in milliseconds, never going back. */
  stalled(now: number): IncomingMessage[] {
    const stalled: IncomingMessage[] = [];
    for (const [peer, watched] of this.#watched) {
      const { req } = watched;
      if (req.complete) {
        this.#watched.delete(peer);
        continue;
      }
      const { bytesRead } = req.socket;
      if (bytesRead !== watched.bytes || req.isPaused()) {
        watched.bytes = bytesRead;
        watched.since = now;
      } else if (watched.since !== undefined && now - watched.since >= this.#stallMs) {
        this.#watched.delete(peer);
        stalled.push(req);
      }
    }
    return stalled;
  }
}
