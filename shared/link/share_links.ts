import type { LinkError } from "../errors.ts";
import { HANDSHAKE_TIMEOUT_MS, LINK_HANDSHAKES_MAX, LINK_HANDSHAKES_PER_CHANNEL_MAX, LINKS_MAX } from "../limits.ts";
import { within } from "../relay/handshake.ts";
import type { BidiStream } from "../transport/transport.ts";
import type { ByteReader } from "../wire/byte_reader.ts";
import type { LinkTarget, Reach, StreamEnd } from "./ends.ts";
import { handshakeFrame, needBytes, PREFACE_LINK, PREFACE_NEW_LINK, readHandshakeFrame } from "./frame_io.ts";
import { type HandshakeOptions, type LinkPeer, ShareHandshake } from "./handshake.ts";
import { LINK_ID_BYTES, LinkKeys } from "./keys.ts";
import { Lane } from "./lane.ts";
import type { PathInfo, PortList } from "./link_control.ts";
import { noLinkRecord } from "./record.ts";
import { ShareLink, type Via } from "./share_link.ts";

/** What happens to the links of a share. `link` is the same text for the same link. */
export type LinkEvent =
  | { readonly event: "connected"; readonly link: string; readonly peer: LinkPeer; readonly from: string | undefined }
  | { readonly event: "path"; readonly link: string; readonly path: PathInfo }
  | { readonly event: "reachable"; readonly link: string; readonly reachable: boolean }
  | { readonly event: "over"; readonly link: string; readonly error: LinkError }
  | {
    readonly event: "stream";
    readonly link: string;
    readonly target: LinkTarget;
    readonly end: StreamEnd;
    readonly startedAt: number;
  };

/** What the links of a share do to the world. */
export interface ShareLinksEffects {
  readonly reach: Reach;
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
  watchPorts(tell: (ports: PortList) => void): () => void;
  tell(event: LinkEvent): void;
}

/** All links to one share. They outlive the sessions that their lanes come from. */
export class ShareLinks {
  readonly #options: HandshakeOptions;
  readonly #effects: ShareLinksEffects;
  readonly #links = new Map<string, ShareLink>();
  /** The channels of the handshakes under way. */
  readonly #handshaking: (number | undefined)[] = [];
  #closed = false;

  constructor(options: HandshakeOptions, effects: ShareLinksEffects) {
    this.#options = options;
    this.#effects = effects;
  }

  /** Links now. */
  get size(): number {
    return this.#links.size;
  }

  /**
   * Serves a lane until it is over. `bytes` is read up to its stream header. The link that the lane belongs to is told to
   * `found`. Never rejects.
   */
  async serveLane(bytes: ByteReader, stream: BidiStream, via: Via, found: (link: ShareLink) => void): Promise<void> {
    try {
      await within(HANDSHAKE_TIMEOUT_MS, () => this.#begin(bytes, stream, via, found));
    } catch {
      stream.writable.close().catch(() => {});
      void bytes.cancel();
    }
  }

  /** Housekeeping, every LINK_TICK_MS. */
  tick(): void {
    for (const link of [...this.#links.values()]) link.tick();
  }

  /** Ends all links and tells the other sides why. No more are taken. */
  close(message: string): void {
    this.#closed = true;
    for (const link of [...this.#links.values()]) link.close(message);
  }

  async #begin(
    bytes: ByteReader,
    stream: BidiStream,
    via: Via,
    found: (link: ShareLink) => void,
  ): Promise<void> {
    await needBytes(bytes, 1);
    const [preface] = bytes.take(1);
    let link: ShareLink | undefined;
    if (preface === PREFACE_NEW_LINK) {
      link = await this.#shakeHands(bytes, stream, via);
    } else if (preface === PREFACE_LINK) {
      await needBytes(bytes, LINK_ID_BYTES);
      link = this.#links.get(idText(bytes.take(LINK_ID_BYTES)));
      if (link === undefined) {
        const writer = stream.writable.getWriter();
        writer.write(noLinkRecord()).catch(() => {});
        writer.close().catch(() => {});
        void bytes.cancel();
        return;
      }
    }
    if (link === undefined) throw new TypeError("a lane without a link");
    const { rest, readable } = bytes.release();
    const lane = new Lane(link, { readable, writable: stream.writable }, rest);
    if (!link.adopt(lane, via)) return lane.close();
    found(link);
    void lane.run();
  }

  async #shakeHands(bytes: ByteReader, stream: BidiStream, via: Via): Promise<ShareLink | undefined> {
    const { channel } = via;
    const same = this.#handshaking.filter((other) => other === channel).length;
    if (this.#closed || same >= LINK_HANDSHAKES_PER_CHANNEL_MAX) return undefined;
    if (this.#handshaking.length >= LINK_HANDSHAKES_MAX || !this.#makeRoom()) return undefined;
    this.#handshaking.push(channel);
    try {
      const handshake = new ShareHandshake(this.#options);
      const message2 = await handshake.answer(await readHandshakeFrame(bytes));
      const writer = stream.writable.getWriter();
      writer.write(handshakeFrame(message2)).catch(() => {});
      writer.releaseLock();
      const { peer, secret } = await handshake.finish(await readHandshakeFrame(bytes));
      return this.#add(new LinkKeys(secret, "share"), peer, via);
    } finally {
      this.#handshaking.splice(this.#handshaking.indexOf(channel), 1);
    }
  }

  #add(keys: LinkKeys, peer: LinkPeer, via: Via): ShareLink {
    const id = idText(keys.linkId);
    const { tell } = this.#effects;
    const window = Math.min(this.#options.settings.resumeWindowMs, peer.settings.resumeWindowMs);
    const link = new ShareLink(keys, peer, window, {
      reach: this.#effects.reach.forLink?.() ?? this.#effects.reach,
      now: () => this.#effects.now(),
      watchPorts: (told) => this.#effects.watchPorts(told),
      ended: (target, end, startedAt) => tell({ event: "stream", link: id, target, end, startedAt }),
      path: (path) => tell({ event: "path", link: id, path }),
      reachable: (reachable) => tell({ event: "reachable", link: id, reachable }),
      over: (error) => {
        this.#links.delete(id);
        tell({ event: "over", link: id, error });
      },
    });
    this.#links.set(id, link);
    tell({ event: "connected", link: id, peer, from: via.from });
    return link;
  }

  /** A link that nobody uses now makes room for a new one; one in use never does. */
  #makeRoom(): boolean {
    if (this.#links.size < LINKS_MAX) return true;
    let found: ShareLink | undefined;
    for (const link of this.#links.values()) {
      const since = link.unreachableSince;
      if (since !== undefined && since < (found?.unreachableSince ?? Infinity)) found = link;
    }
    found?.close("Others needed the place.");
    return found !== undefined;
  }
}

function idText(id: Uint8Array): string {
  return Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
