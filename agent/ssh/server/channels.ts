import { SSH_CHANNELS_MAX, SSH_PROGRAMS_MAX } from "../../../shared/limits.ts";

/** What ssh2 knows of a channel's other end. Its types leave it out. */
interface Ends {
  readonly outgoing?: { readonly packetSize: number };
  readonly _chanInfo?: { readonly outgoing: { readonly packetSize: number } };
}

/** A channel that counts. */
export interface OpenChannel {
  /** Aborted once the client has closed it, or the connection is over. */
  readonly gone: AbortSignal;
  /** To be called once it is over. Idempotent. */
  readonly over: () => void;
  /** Whose unread input counts; undefined until there is one. */
  reader: { readonly readableLength: number } | undefined;
}

/** The channels of one connection: no more than are allowed, and all of them over with it. */
export class Channels {
  readonly #open = new Map<OpenChannel, AbortController>();
  #programs = 0;
  #closed = false;

  /** A place for one more; undefined when there is none. */
  open(kind: "program" | "forward"): OpenChannel | undefined {
    const full = this.#open.size >= SSH_CHANNELS_MAX || kind === "program" && this.#programs >= SSH_PROGRAMS_MAX;
    if (this.#closed || full) return undefined;
    const controller = new AbortController();
    const channel: OpenChannel = {
      gone: controller.signal,
      over: () => {
        if (!this.#open.delete(channel)) return;
        if (kind === "program") this.#programs--;
        controller.abort();
      },
      reader: undefined,
    };
    this.#open.set(channel, controller);
    if (kind === "program") this.#programs++;
    return channel;
  }

  /** True when a client has sent much more on a channel than it was allowed. */
  overrun(maxBytes: number): boolean {
    for (const { reader } of this.#open.keys()) if ((reader?.readableLength ?? 0) > maxBytes) return true;
    return false;
  }

  /** All are over, and no new ones are opened. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const channel of [...this.#open.keys()]) channel.over();
  }
}

/** False for a channel whose client takes packets of no bytes only: ssh2 would try for ever to send it one. */
export function takesPackets(channel: object): boolean {
  const { outgoing, _chanInfo } = channel as Ends;
  return ((outgoing ?? _chanInfo?.outgoing)?.packetSize ?? 0) > 0;
}
