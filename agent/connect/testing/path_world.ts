import assert from "node:assert/strict";
import type { EdgeInfo } from "../../../shared/edge_info.ts";
import { LinkError, ServiceError, TransportError } from "../../../shared/errors.ts";
import { HANDSHAKE_TIMEOUT_MS, LINK_TICK_MS } from "../../../shared/limits.ts";
import { noAnswer } from "../../../shared/link/asks.ts";
import type { LinkTarget, StreamEnd } from "../../../shared/link/ends.ts";
import { needBytes, PREFACE_NEW_LINK } from "../../../shared/link/frame_io.ts";
import { LINK_ID_BYTES, LinkKeys } from "../../../shared/link/keys.ts";
import { Lane } from "../../../shared/link/lane.ts";
import type { OpenedLink } from "../../../shared/link/open_link.ts";
import { noLinkRecord } from "../../../shared/link/record.ts";
import { ShareLink } from "../../../shared/link/share_link.ts";
import { quiet, SimClock } from "../../../shared/link/testing/sim_clock.ts";
import { SimContent, SimEnd, type SimPlan } from "../../../shared/link/testing/sim_end.ts";
import { SimPath } from "../../../shared/link/testing/sim_session.ts";
import { acceptHello, type Control } from "../../../shared/relay/handshake.ts";
import type { BidiStream, Session } from "../../../shared/transport/transport.ts";
import { ByteReader } from "../../../shared/wire/byte_reader.ts";
import { encodeStreamHeader, readStreamHeader } from "../../../shared/wire/control.ts";
import { PathController, type PathEvent } from "../path_controller.ts";

/** An edge of a simulation. */
interface SimEdge {
  readonly info: EdgeInfo;
  up: boolean;
  readonly sessions: Set<{ readonly path: SimPath; control: Control | undefined }>;
}

/** A share's process: it is started, goes away and comes back, and is started anew. */
interface SimShare {
  readonly identity: string;
  readonly links: Map<string, ShareLink>;
  /** The edge at which it is attached. */
  edge: SimEdge | undefined;
}

export interface SimTunnelled {
  readonly near: SimEnd;
  far: SimEnd | undefined;
  readonly farPlan: SimPlan;
  end: StreamEnd | undefined;
}

const PEER = { publicKey: new Uint8Array(32), fingerprint: "", settings: { resumeWindowMs: 1e9, agent: "" } };

/** A connector, edges, a service and a share, with a clock and randomness of their own, each of which can fail. */
export class PathWorld {
  readonly clock = new SimClock();
  readonly random: () => number;
  readonly aborter = new AbortController();
  readonly events: PathEvent[] = [];
  readonly edges: SimEdge[];
  readonly paths: SimPath[] = [];
  readonly tunnelled: SimTunnelled[] = [];
  readonly controller: PathController;
  share: SimShare;
  /** Whether the share is over for good. */
  ended = false;
  serviceUp = true;
  /** A relay that says that there is no link, whatever the share says. */
  liesAboutLinks = false;
  handshakes = 0;
  ticking = true;
  /** The share has answered on a link. */
  started = false;
  /** How it has ended. */
  finished: { readonly error?: unknown } | undefined;
  readonly #secrets = new Map<string, Uint8Array>();
  readonly #content: SimContent;
  readonly #pinned: string;

  constructor(random: () => number, resumeWindowMs: number) {
    this.random = random;
    this.#content = new SimContent(random);
    this.edges = ["a", "b", "c"].map((id) => ({
      info: { id, region: id, url: `https://${id}`, ws: `ws://${id}`, certHashes: [] },
      up: true,
      sessions: new Set(),
    }));
    this.share = { identity: "first", links: new Map(), edge: this.edges[0] };
    this.#pinned = this.share.identity;
    this.controller = new PathController("calm-otter-1234", resumeWindowMs, {
      now: () => this.clock.now,
      random: this.random,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => resolve());
          if (signal.aborted) resolve();
          this.clock.later(ms, resolve);
        }),
      later: (ms, action) => this.clock.later(ms, action),
      edgeOf: async () => {
        await this.#latency();
        if (!this.serviceUp) throw new ServiceError("unavailable", "no answer");
        if (this.ended) throw new ServiceError("share-ended", "over");
        return { url: "https://share", expiresAt: 0, edge: this.share.edge?.info };
      },
      connect: (edge, signal) => this.#dial(edge, signal),
      ticket: async () => {
        await this.#latency();
        return new Uint8Array(8);
      },
      openLink: (session) => this.#openLink(session),
    }, (event) => void this.events.push(event));
    const tick = () => {
      if (!this.ticking) return;
      this.controller.tick();
      for (const link of [...this.share.links.values()]) link.tick();
      this.clock.later(LINK_TICK_MS, tick);
    };
    tick();
  }

  /** Attaches, and keeps the link until the end. */
  begin(): void {
    const { signal } = this.aborter;
    void this.controller.start(signal).then((started) => {
      this.started = started;
      return started ? this.controller.run(signal) : undefined;
    }).then(
      () => this.finished = {},
      (error) => this.finished = { error },
    );
  }

  connect(plan: SimPlan, farPlan: SimPlan): SimTunnelled {
    const port = this.tunnelled.length + 1;
    const near = new SimEnd(this.clock, this.random, this.#content, [2 * port, 2 * port + 1], plan);
    const tunnelled: SimTunnelled = { near, far: undefined, farPlan, end: undefined };
    this.tunnelled.push(tunnelled);
    void this.controller.connect({ host: "", port }, near).then((end) => {
      assert.equal(tunnelled.end, undefined, "ended twice");
      tunnelled.end = end;
    });
    return tunnelled;
  }

  /** Sessions that the connector holds. */
  get sessions(): number {
    return this.paths.filter(({ isOpen }) => isOpen).length;
  }

  /** Kills an edge: the share finds another after a while, the connector notices later. */
  killEdge(edge: SimEdge): void {
    edge.up = false;
    for (const { path } of edge.sessions) {
      path.loseFar();
      this.clock.later(500 + this.random() * 3000, () => path.loseNear());
    }
    edge.sessions.clear();
    if (this.share.edge === edge) this.moveShare(undefined);
  }

  /** The share attaches elsewhere, or nowhere: its lanes at the old edge are over, and connectors there are told. */
  moveShare(edge: SimEdge | undefined): void {
    const before = this.share.edge;
    this.share.edge = edge;
    if (before === undefined || before === edge) return;
    for (const { path, control } of before.sessions) {
      void control?.send({ t: "bye", code: "share-away", message: "the share has left" });
      path.cutStreams(1, 1);
      this.clock.later(500, () => path.loseFar());
    }
    before.sessions.clear();
  }

  /** The share's process is killed, and another is started. */
  restartShare(identity = this.share.identity): void {
    const { edge, links } = this.share;
    this.moveShare(undefined);
    for (const link of links.values()) link.close("killed");
    this.share = { identity, links: new Map(), edge: edge?.up ? edge : this.edges.find(({ up }) => up) };
  }

  async until(condition: () => boolean, limitMs: number, what: string): Promise<void> {
    const end = this.clock.now + limitMs;
    await quiet();
    while (!condition()) {
      if (await this.clock.stepAsync(end)) continue;
      throw new assert.AssertionError({ message: `${what}: not within ${limitMs} ms` });
    }
  }

  async sleep(ms: number): Promise<void> {
    let over = false;
    this.clock.later(ms, () => over = true);
    await this.until(() => over, Infinity, "time");
  }

  /** Ends everything that is left. */
  async stop(): Promise<void> {
    this.aborter.abort();
    void this.controller.close();
    await this.sleep(5000);
    this.ticking = false;
    for (const path of this.paths) {
      path.freeze(false, 1);
      path.loseNear();
      path.loseFar();
    }
    for (const link of [...this.share.links.values()]) link.close("done");
    let left = 1e6;
    while (await this.clock.stepAsync()) assert.ok(left-- > 0, "something goes on for ever");
  }

  #latency(): Promise<void> {
    return this.clock.sleep(1 + this.random() * 50);
  }

  async #dial(info: EdgeInfo, signal: AbortSignal): Promise<{ session: Session; fallback: undefined }> {
    await this.#latency();
    const edge = this.edges.find(({ info: { id } }) => id === info.id)!;
    if (!edge.up && this.random() < 0.5) {
      // What is dead mostly says nothing.
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve());
        if (signal.aborted) resolve();
        this.clock.later(HANDSHAKE_TIMEOUT_MS, resolve);
      });
    }
    if (!edge.up || signal.aborted) throw new TransportError("connect-failed", "nobody there");
    const path = new SimPath(this.clock, this.random, {
      latency: [1, 20],
      loss: 0,
      refusals: 0,
      capacity: 1 << 20,
      foul: (bytes, direction) => {
        // Not on the control stream, whose messages are no records.
        return this.liesAboutLinks && direction === "down" && bytes[0]! < 7 ? [noLinkRecord(), bytes] : [bytes];
      },
    });
    this.paths.push(path);
    void this.#serve(edge, path);
    return { session: path.near, fallback: undefined };
  }

  async #serve(edge: SimEdge, path: SimPath): Promise<void> {
    const entry = { path, control: undefined as Control | undefined };
    try {
      const { control } = await acceptHello(path.far, () => {
        if (this.share.edge !== edge) throw new ServiceError("share-away", "not here");
        return Promise.resolve({});
      }, HANDSHAKE_TIMEOUT_MS);
      entry.control = control;
      if (!edge.up) return;
      edge.sessions.add(entry);
      await control.send({ t: "welcome", version: 1, session: "s", region: "r", expiresAt: 1e12 });
    } catch {
      this.clock.later(500, () => path.far.close());
      return;
    }
    for (;;) {
      const stream = await path.far.acceptStream();
      if (stream === undefined) return void edge.sessions.delete(entry);
      void this.#serveLane(edge, stream).catch(() => stream.writable.close());
    }
  }

  async #serveLane(edge: SimEdge, stream: BidiStream): Promise<void> {
    const { share } = this;
    if (share.edge !== edge) throw new Error("nobody to whom the lane could lead");
    const bytes = new ByteReader(stream.readable);
    await readStreamHeader(bytes);
    await needBytes(bytes, 1 + LINK_ID_BYTES);
    const [preface] = bytes.take(1);
    const id = bytes.take(LINK_ID_BYTES).toHex();
    const link = preface === PREFACE_NEW_LINK ? this.#newShareLink(share, id) : share.links.get(id);
    if (link === undefined) {
      const writer = stream.writable.getWriter();
      void writer.write(noLinkRecord()).catch(() => {});
      return await writer.close();
    }
    const { rest, readable } = bytes.release();
    const lane = new Lane(link, { readable, writable: stream.writable }, rest);
    const via = { channel: 1, from: "here", datagramMaxSize: 0, sendDatagram: () => {} };
    if (!link.adopt(lane, via)) return lane.close();
    void lane.run();
  }

  #newShareLink(share: SimShare, id: string): ShareLink {
    const link = new ShareLink(new LinkKeys(this.#secrets.get(id)!, "share"), PEER, 1e9, {
      reach: {
        connect: async ({ port }: LinkTarget) => {
          await this.#latency();
          const tunnelled = this.tunnelled[port - 1]!;
          assert.equal(tunnelled.far, undefined, "dialled twice");
          const keys: [number, number] = [2 * port + 1, 2 * port];
          return tunnelled.far = new SimEnd(this.clock, this.random, this.#content, keys, tunnelled.farPlan);
        },
        openFlow: () => ({ send: () => {}, close: () => {} }),
      },
      now: () => this.clock.now,
      watchPorts: () => () => {},
      answer: noAnswer,
      ended: () => {},
      path: () => {},
      reachable: () => {},
      over: () => void share.links.delete(id),
    });
    share.links.set(id, link);
    return link;
  }

  /** A handshake as the connector sees it, without its cryptography. */
  async #openLink(session: Session): Promise<OpenedLink> {
    this.handshakes++;
    const stream = await session.openStream();
    await this.#latency();
    const { identity } = this.share;
    if (identity !== this.#pinned) throw new LinkError("identity-changed", "somebody else");
    const secret = Uint8Array.from({ length: 32 }, () => Math.floor(this.random() * 256));
    const keys = new LinkKeys(secret, "connector");
    this.#secrets.set(keys.linkId.toHex(), secret);
    const header = encodeStreamHeader({ k: "link" });
    const writer = stream.writable.getWriter();
    await writer.write(Uint8Array.of(...header, PREFACE_NEW_LINK, ...keys.linkId));
    writer.releaseLock();
    return { keys, peer: PEER, first: (owner) => new Lane(owner, stream) };
  }
}
