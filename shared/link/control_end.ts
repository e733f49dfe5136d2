import { LINK_ASKS_MAX } from "../limits.ts";
import type { TcpEnd, TcpListener } from "./ends.ts";
import { encodeLinkMessage, type LinkMessage, LinkMessageDecoder } from "./link_control.ts";

/** The local end of stream 0: the link talking to itself. */
export class ControlEnd implements TcpEnd {
  readonly #receive: (message: LinkMessage) => void;
  readonly #decoder = new LinkMessageDecoder();
  #listener: TcpListener | undefined;
  /** More waits for the peer's acknowledgement than the stream may keep. */
  #held = false;
  /** What waits until then: the newest of each kind, so that a peer who never acknowledges costs no more. */
  readonly #pending = new Map<string, LinkMessage>();

  constructor(receive: (message: LinkMessage) => void) {
    this.#receive = receive;
  }

  /** Sends a message, on whatever lane there is or will be. */
  send(message: LinkMessage): void {
    if (this.#held) this.#pending.set(kindOf(message), message);
    else this.#listener?.data(encodeLinkMessage(message));
  }

  start(listener: TcpListener): void {
    this.#listener = listener;
  }

  write(bytes: Uint8Array, taken: () => void): boolean {
    const messages = this.#decoder.push(bytes);
    taken();
    for (const message of messages) this.#receive(message);
    return true;
  }

  pause(): void {
    this.#held = true;
  }

  resume(): void {
    this.#held = false;
    for (const [kind, message] of this.#pending) {
      if (this.#held) return;
      this.#pending.delete(kind);
      this.send(message);
    }
  }

  end(): void {}
  reset(): void {}
  close(): void {}
}

/** Questions do not replace each other, nor do answers: there are at most LINK_ASKS_MAX at once. */
function kindOf(message: LinkMessage): string {
  return message.t === "ask" || message.t === "answer" ? `${message.t} ${message.n % LINK_ASKS_MAX}` : message.t;
}
