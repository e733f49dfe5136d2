import type { TcpEnd, TcpListener } from "./ends.ts";
import { encodeLinkMessage, type LinkMessage, LinkMessageDecoder } from "./link_control.ts";

/** The local end of stream 0: the link talking to itself. */
export class ControlEnd implements TcpEnd {
  readonly #receive: (message: LinkMessage) => void;
  readonly #decoder = new LinkMessageDecoder();
  #listener: TcpListener | undefined;

  constructor(receive: (message: LinkMessage) => void) {
    this.#receive = receive;
  }

  /** Sends a message, on whatever lane there is or will be. */
  send(message: LinkMessage): void {
    this.#listener?.data(encodeLinkMessage(message));
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

  pause(): void {}
  resume(): void {}
  end(): void {}
  reset(): void {}
  close(): void {}
}
