import type { LinkError } from "../errors.ts";
import {
  HANDSHAKE_TIMEOUT_MS,
  LINK_CHANNELS_MAX,
  LINK_HANDSHAKE_REFILL_MS,
  LINK_HANDSHAKE_SHARE_REFILL_MS,
  LINK_HANDSHAKES_BURST,
  LINK_HANDSHAKES_MAX,
  LINK_HANDSHAKES_PER_CHANNEL_MAX,
  LINK_HANDSHAKES_SHARE_BURST,
  LINK_STALLED_TICKS,
  LINKS_BUDGET_BYTES,
} from "../limits.ts";
import { within } from "../relay/handshake.ts";
import { TokenBuckets } from "../token_buckets.ts";
import type { BidiStream } from "../transport/transport.ts";
import type { ByteReader } from "../wire/byte_reader.ts";
import { lengthPrefixed } from "../wire/varint.ts";
import { Budget } from "./budget.ts";
import type { LinkOrigin, LinkTarget, Reach, StreamEnd } from "./ends.ts";
import { HANDSHAKE_TOO_MANY, needBytes, PREFACE_LINK, PREFACE_NEW_LINK, readHandshakeFrame } from "./frame_io.ts";
import { type HandshakeOptions, type LinkPeer, ShareHandshake } from "./handshake.ts";
import { LINK_ID_BYTES, LinkKeys } from "./keys.ts";
import { Lane } from "./lane.ts";
import { encodeLinkMessage, type PathInfo, type PortList } from "./link_control.ts";
import { type Holder, makeRoom, type Newcomer } from "./link_places.ts";
import type { StreamBudgets } from "./stream_core.ts";
import { noLinkRecord, RecordType, sealRecord } from "./record.ts";
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
  /** Answers what a link is asked about something else. @throws {SpanwayError} what to say instead of an answer */
  answer(asker: LinkOrigin, about: string, data: Uint8Array): Promise<Uint8Array>;
  tell(event: LinkEvent): void;
}

/** All links to one share. They outlive the sessions that their lanes come from. */
export class ShareLinks {
  readonly #options: HandshakeOptions;
  readonly #effects: ShareLinksEffects;
  /** With the path that each came on. */
  readonly #links = new Map<string, { readonly link: ShareLink; readonly via: Via }>();
  readonly #memory: StreamBudgets;
  /** The channels of the handshakes under way. */
  readonly #handshaking: string[] = [];
  /** How many may begin. */
  readonly #bucketOfAll = new TokenBuckets({
    burst: LINK_HANDSHAKES_SHARE_BURST,
    refillMs: LINK_HANDSHAKE_SHARE_REFILL_MS,
    max: 1,
  });
  readonly #buckets = new TokenBuckets({
    burst: LINK_HANDSHAKES_BURST,
    refillMs: LINK_HANDSHAKE_REFILL_MS,
    max: LINK_CHANNELS_MAX,
  });
  #closed = false;

  /** @param budgetBytes memory for windows beyond the usual, and the same again for what waits to be acknowledged */
  constructor(options: HandshakeOptions, effects: ShareLinksEffects, budgetBytes = LINKS_BUDGET_BYTES) {
    this.#options = options;
    this.#memory = { out: new Budget(budgetBytes), in: new Budget(budgetBytes) };
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

  /** Bytes that wait for acknowledgements, and those of windows beyond the usual, of all links. */
  get memory(): { readonly out: number; readonly in: number } {
    return { out: this.#memory.out.used, in: this.#memory.in.used };
  }

  /** Housekeeping, every LINK_TICK_MS. */
  tick(): void {
    for (const { link } of [...this.#links.values()]) link.tick();
    this.#relieve();
  }

  /** Ends all links and tells the other sides why. No more are taken. */
  close(message: string): void {
    this.#closed = true;
    for (const { link } of [...this.#links.values()]) link.close(message);
  }

  /** Once the memory is used up, links go that keep much of it and give little back; who is away, first. */
  #relieve(): void {
    if (!this.#memory.out.exhausted) return;
    const links = [...this.#links.values()].map(({ link }) => ({ link, away: link.stalled === Infinity }))
      .filter(({ link }) => link.stalled >= LINK_STALLED_TICKS && link.memory.out > 0)
      .sort((a, b) => Number(b.away) - Number(a.away) || b.link.memory.out - a.link.memory.out);
    for (const { link } of links) {
      if (!this.#memory.out.exhausted) return;
      link.close("It held too much of the share's memory.");
    }
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
      if (link === undefined) return;
    } else if (preface === PREFACE_LINK) {
      await needBytes(bytes, LINK_ID_BYTES);
      link = this.#links.get(idText(bytes.take(LINK_ID_BYTES)))?.link;
      if (link === undefined) {
        const writer = stream.writable.getWriter();
        writer.write(noLinkRecord()).catch(() => {});
        writer.close().catch(() => {});
        // Whoever stops reading breaks the lane, and a relay may drop what it still carries the other way.
        while (await bytes.fill()) bytes.take(bytes.available);
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

  /** Undefined when it does not come to a link; the connecting side has been told why. */
  async #shakeHands(bytes: ByteReader, stream: BidiStream, via: Via): Promise<ShareLink | undefined> {
    const newcomer = { channel: channelText(via), from: via.from };
    const writer = stream.writable.getWriter();
    writer.closed.catch(() => {});
    const refuse = (...messages: readonly Uint8Array[]) => {
      for (const message of messages) writer.write(message).catch(() => {});
      writer.close().catch(() => {});
      void bytes.cancel();
    };
    if (!this.#mayBegin(newcomer)) {
      refuse(HANDSHAKE_TOO_MANY);
      return undefined;
    }
    this.#handshaking.push(newcomer.channel);
    try {
      const handshake = new ShareHandshake(this.#options);
      const message2 = await handshake.answer(await readHandshakeFrame(bytes));
      writer.write(lengthPrefixed(message2)).catch(() => {});
      const { peer, secret } = await handshake.finish(await readHandshakeFrame(bytes));
      const keys = new LinkKeys(secret, "share");
      // Only now is it known who comes, and that somebody does.
      const leaving = this.#closed ? undefined : makeRoom(this.#holders(), { ...newcomer, device: peer.fingerprint });
      if (leaving === undefined) {
        refuse(...farewell(keys, this.#closed ? "The share has ended." : "There are too many links to the share."));
        return undefined;
      }
      for (const { link } of leaving) link.close("Others needed the place.");
      writer.releaseLock();
      return this.#add(keys, peer, via);
    } catch (error) {
      writer.close().catch(() => {});
      throw error;
    } finally {
      this.#handshaking.splice(this.#handshaking.indexOf(newcomer.channel), 1);
    }
  }

  /** Decides before anything costly is done for a newcomer. */
  #mayBegin(newcomer: Newcomer): boolean {
    const { channel } = newcomer;
    const same = this.#handshaking.filter((other) => other === channel).length;
    if (this.#closed || same >= LINK_HANDSHAKES_PER_CHANNEL_MAX) return false;
    if (this.#handshaking.length >= LINK_HANDSHAKES_MAX) return false;
    const now = this.#effects.now();
    if (this.#buckets.wait(channel, now) > 0 || this.#bucketOfAll.take("", now) > 0) return false;
    this.#buckets.spend(channel, now);
    return makeRoom(this.#holders(), newcomer) !== undefined;
  }

  #holders(): (Holder & { readonly link: ShareLink })[] {
    return [...this.#links.values()].map(({ link, via }) => {
      const { channel, from } = link.via === undefined
        ? { channel: channelText(via), from: via.from }
        : { channel: channelText(link.via), from: link.via.from };
      const { unreachableSince, streams, peer } = link;
      return { link, channel, from, device: peer.fingerprint, unreachableSince, streams };
    });
  }

  #add(keys: LinkKeys, peer: LinkPeer, via: Via): ShareLink {
    const id = idText(keys.linkId);
    const { tell } = this.#effects;
    const origin: LinkOrigin = { link: id, device: peer.fingerprint, from: via.from };
    const window = Math.min(this.#options.settings.resumeWindowMs, peer.settings.resumeWindowMs);
    const link = new ShareLink(keys, peer, window, {
      reach: this.#effects.reach.forLink?.(origin) ?? this.#effects.reach,
      now: () => this.#effects.now(),
      watchPorts: (told) => this.#effects.watchPorts(told),
      answer: (about, data) => this.#effects.answer(origin, about, data),
      ended: (target, end, startedAt) => tell({ event: "stream", link: id, target, end, startedAt }),
      path: (path) => tell({ event: "path", link: id, path }),
      reachable: (reachable) => tell({ event: "reachable", link: id, reachable }),
      over: (error) => {
        this.#links.delete(id);
        tell({ event: "over", link: id, error });
      },
    }, this.#memory);
    this.#links.set(id, { link, via });
    tell({ event: "connected", link: id, peer, from: via.from });
    return link;
  }
}

/** What a link says that ends as it begins: the connecting side takes it for set up and must hear why it is not. */
function farewell(keys: LinkKeys, message: string): Uint8Array[] {
  const { send } = keys.stream(0);
  return [
    sealRecord(send, RecordType.OPENED, 0),
    sealRecord(send, RecordType.DATA, 0, encodeLinkMessage({ t: "bye", message })),
  ];
}

function channelText({ session, channel }: Via): string {
  return `${session ?? ""}/${channel ?? ""}`;
}

function idText(id: Uint8Array): string {
  return Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
