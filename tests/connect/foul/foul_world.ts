/**
 * Two agents with everything that they are made of, and the real relay core between them, within this process and in a
 * clock of its own; the path between connector and relay is in foul hands.
 */
import { Buffer } from "node:buffer";
import { PathController, type PathEvent } from "../../../agent/connect/path_controller.ts";
import { serveSession } from "../../../agent/share/serve_session.ts";
import { LinkError } from "../../../shared/errors.ts";
import { generateIdentity, type Identity } from "../../../shared/identity.ts";
import { LINK_TICK_MS } from "../../../shared/limits.ts";
import { noAnswer } from "../../../shared/link/asks.ts";
import type { LinkTarget, Reach, StreamEnd, UdpFlow } from "../../../shared/link/ends.ts";
import type { HandshakeOptions } from "../../../shared/link/handshake.ts";
import { openLink } from "../../../shared/link/open_link.ts";
import { type LinkEvent, ShareLinks } from "../../../shared/link/share_links.ts";
import { MemoryEnd } from "../../../shared/link/testing/memory_end.ts";
import { secureRandom } from "../../../shared/random.ts";
import { dialHandshake } from "../../../shared/relay/handshake.ts";
import { RelayCore } from "../../../shared/relay/relay_core.ts";
import { memoryPair } from "../../../shared/transport/memory.ts";
import type { Session } from "../../../shared/transport/transport.ts";
import { FoulMemory, type FoulPlay, FoulSession } from "./foul_session.ts";

const NAME = "calm-otter-1234";
/** How much faster time passes here. */
const SPEED = 50;
/** Port of the UDP flows' target; connections have ports of their own. */
const UDP_PORT = 9;
/** Beyond the end of every test, in milliseconds. */
const FAR = 1e12;

/** One tunnelled connection, from both its ends. */
export class FoulStream {
  readonly port: number;
  readonly near = new MemoryEnd();
  /** Once the share has dialled. */
  far: MemoryEnd | undefined;
  /** What each side says; all of it, or what it said before it broke. */
  readonly said: Record<"near" | "far", number> = { near: 0, far: 0 };
  readonly finished = { near: false, far: false };
  end: StreamEnd | undefined;

  constructor(port: number) {
    this.port = port;
  }

  /** The next `count` bytes of a side. */
  say(side: "near" | "far", count: number): void {
    const end = side === "near" ? this.near : this.far;
    end?.say(content(this.port, side, this.said[side], count));
    this.said[side] += count;
  }

  finish(side: "near" | "far"): void {
    this.finished[side] = true;
    (side === "near" ? this.near : this.far)?.finish();
  }

  /** What is wrong with what arrived; undefined when all is as the other side said it, as far as it came. */
  get wrong(): string | undefined {
    for (const [side, from] of [["near", "far"], ["far", "near"]] as const) {
      const end = side === "near" ? this.near : this.far;
      if (end === undefined) continue;
      const got = end.bytes;
      if (got.length > this.said[from]) return `${this.port}: the ${side} end got more than was sent`;
      if (Buffer.compare(got, content(this.port, from, 0, got.length)) !== 0) {
        return `${this.port}: the ${side} end got other bytes than were sent`;
      }
      if (end.state === "ended" && (!this.finished[from] || got.length !== this.said[from])) {
        return `${this.port}: the ${side} end saw a clean end after ${got.length} of ${this.said[from]} bytes`;
      }
    }
    return undefined;
  }
}

function content(port: number, side: "near" | "far", offset: number, length: number): Uint8Array {
  const salt = side === "near" ? 0 : 101;
  return Uint8Array.from({ length }, (_, i) => {
    const at = offset + i;
    return (port * 31 + salt + at * 7 + (at >> 8) * 13 + (at >> 16)) & 255;
  });
}

export interface FoulWorldOptions {
  readonly play: FoulPlay;
  readonly resumeWindowMs?: number;
  /** Takes the place of the share's identity check. */
  readonly expected?: string;
  /** Takes the lanes of connectors before the relay does. */
  readonly between?: (session: Session) => Session;
}

export class FoulWorld {
  readonly events: PathEvent[] = [];
  readonly linkEvents: LinkEvent[] = [];
  readonly streams = new Map<number, FoulStream>();
  readonly memory = new FoulMemory();
  /** What the far side got by UDP, and what came back. */
  readonly datagrams = { sent: new Set<string>(), far: [] as string[], near: [] as string[] };
  readonly share: Identity;
  readonly device: Identity;
  readonly core: RelayCore;
  readonly controller: PathController;
  readonly links: ShareLinks;
  /** What ended `run`; undefined while it runs or when it was stopped. */
  failure: unknown;
  now = 0;
  /** While true nobody can attach. */
  away = false;
  readonly #options: FoulWorldOptions;
  readonly #stop = new AbortController();
  readonly #sessions = new Set<Session>();
  readonly #clock: ReturnType<typeof setInterval>;
  #attached: Session | undefined;
  #ticked = 0;
  #ports = 1000;
  #running: Promise<void> = Promise.resolve();

  private constructor(options: FoulWorldOptions, share: Identity, device: Identity) {
    this.#options = options;
    this.share = share;
    this.device = device;
    this.core = new RelayCore("test", {
      now: () => this.now,
      admit: ({ name }) => Promise.resolve({ session: "s1", name, expiresAt: FAR }),
      attached: () => {},
      detached: () => {},
      refused: () => {},
      connectors: {
        admit: ({ name }) => Promise.resolve({ session: "s1", name, expiresAt: FAR, fingerprint: device.fingerprint }),
        came: () => {},
        went: () => {},
      },
    });
    this.links = new ShareLinks(this.handshakeOptions(share), {
      reach: this.#reach(),
      now: () => this.now,
      watchPorts: () => () => {},
      answer: noAnswer,
      tell: (event) => this.linkEvents.push(event),
    });
    this.controller = this.#makeController();
    this.#clock = setInterval(() => this.#tick(), 2);
  }

  /** Everything up to a link. @throws what connecting throws */
  static async start(options: FoulWorldOptions): Promise<FoulWorld> {
    const world = new FoulWorld(options, await generateIdentity(secureRandom), await generateIdentity(secureRandom));
    await world.#attachShare();
    try {
      await world.controller.start(world.#stop.signal);
    } catch (error) {
      await world.stop();
      throw error;
    }
    world.#running = world.controller.run(world.#stop.signal).catch((error) => {
      world.failure = error;
    });
    return world;
  }

  handshakeOptions(identity: Identity): HandshakeOptions {
    const { resumeWindowMs = 600_000 } = this.#options;
    return { name: NAME, identity, settings: { resumeWindowMs, agent: "spanway/test" }, random: secureRandom };
  }

  /** Opens a connection. */
  open(): FoulStream {
    const stream = new FoulStream(this.#ports++);
    this.streams.set(stream.port, stream);
    void this.controller.connect({ host: "", port: stream.port }, stream.near).then((end) => {
      stream.end = end;
      // As a listener does with a connection whose far side was never reached.
      if (end.code !== undefined && stream.near.state === "open") stream.near.reset();
    });
    return stream;
  }

  /** Opens a flow; what it is sent comes back. */
  openFlow(): UdpFlow {
    const flow = this.controller.openFlow(
      { host: "", port: UDP_PORT },
      (payload) => this.datagrams.near.push(new TextDecoder().decode(payload)),
      () => {},
    );
    return {
      send: (payload) => {
        this.datagrams.sent.add(new TextDecoder().decode(payload));
        flow.send(payload);
      },
      close: () => flow.close(),
    };
  }

  /** Waits for so many milliseconds of this world. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms / SPEED));
  }

  /** Waits until `done` holds. @throws when that takes longer than `ms` of this world */
  async until(what: string, done: () => boolean, ms = 300_000): Promise<void> {
    const end = this.now + ms;
    while (!done()) {
      if (this.now > end) throw new Error(`${what}: not within ${ms} ms of the test's clock`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Breaks every path of the connector. */
  cutPaths(): void {
    for (const session of this.#sessions) session.close({ code: 1, reason: "cut" });
  }

  /** A session with the relay, in foul hands: also for others than the connector. */
  dial(): Session {
    const pair = memoryPair();
    const { play, between } = this.#options;
    const inner = between?.(pair.server) ?? pair.server;
    void this.core.serve(new FoulSession(inner, play, this.memory));
    this.#sessions.add(pair.client);
    void pair.client.closed.then(() => this.#sessions.delete(pair.client));
    return pair.client;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.controller.close();
    this.links.close("The test is over.");
    clearInterval(this.#clock);
    this.cutPaths();
    this.#attached?.close();
  }

  #makeController(): PathController {
    const sleep = (ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms / SPEED);
        signal.addEventListener("abort", () => {
          clearTimeout(timer);
          resolve();
        });
        if (signal.aborted) resolve();
      });
    const edge = { id: "test", region: "test", url: "https://edge.test/", ws: "ws://edge.test/", certHashes: [] };
    const { expected = this.share.fingerprint, resumeWindowMs = 600_000 } = this.#options;
    return new PathController(NAME, resumeWindowMs, {
      now: () => this.now,
      random: () => this.#options.play.random(),
      sleep,
      later: (ms, action) => void setTimeout(action, ms / SPEED),
      edgeOf: () => Promise.resolve({ url: "http://test/", expiresAt: FAR, edge: this.away ? undefined : edge }),
      connect: () => Promise.resolve({ session: this.dial(), fallback: undefined }),
      ticket: () => Promise.resolve(new Uint8Array(8)),
      openLink: (session) =>
        openLink(session, this.handshakeOptions(this.device), ({ fingerprint }) => {
          if (fingerprint !== expected) throw new LinkError("identity-changed", "The share is somebody else.");
        }),
    }, (event) => this.events.push(event));
  }

  async #attachShare(): Promise<void> {
    const pair = memoryPair();
    this.#attached = pair.client;
    void this.core.serve(pair.server);
    const hello = { role: "share" as const, name: NAME, ticket: new Uint8Array(8), agent: "test" };
    await dialHandshake(pair.client, hello, 10_000);
    void serveSession(pair.client, () => {
      throw new Error("nobody visits");
    }, this.links);
  }

  #reach(): Reach {
    return {
      connect: ({ port }) => {
        const stream = this.streams.get(port);
        const end = new MemoryEnd();
        if (stream === undefined) return Promise.reject(new LinkError("connection-refused", "nobody"));
        if (stream.far !== undefined) throw new Error(`${port} was dialled twice`);
        stream.far = end;
        return Promise.resolve(end);
      },
      openFlow: (_target: LinkTarget, receive) => ({
        send: (payload) => {
          this.datagrams.far.push(new TextDecoder().decode(payload));
          receive(payload);
        },
        close: () => {},
      }),
    };
  }

  #tick(): void {
    this.now += 2 * SPEED;
    if (this.now - this.#ticked < LINK_TICK_MS) return;
    this.#ticked = this.now;
    this.controller.tick();
    this.links.tick();
    this.core.sweep();
  }
}
