import assert from "node:assert/strict";
import { LinkError, type LinkErrorCode } from "../../errors.ts";
import { generateIdentity, type Identity } from "../../identity.ts";
import { LINK_BUDGET_BYTES, LINK_RECORD_MAX_BYTES, LINK_STREAM_WINDOW_BYTES, LINK_TICK_MS } from "../../limits.ts";
import { secureRandom } from "../../random.ts";
import { ByteReader } from "../../wire/byte_reader.ts";
import { readStreamHeader } from "../../wire/control.ts";
import type { Session } from "../../transport/transport.ts";
import { noAnswer } from "../asks.ts";
import { ConnectorLink } from "../connector_link.ts";
import type { LinkTarget, Reach, StreamEnd, UdpFlow } from "../ends.ts";
import { openLink } from "../open_link.ts";
import type { ShareLink } from "../share_link.ts";
import { type LinkEvent, ShareLinks } from "../share_links.ts";
import { quiet, SimClock } from "./sim_clock.ts";
import { SimContent, SimEnd, type SimPlan } from "./sim_end.ts";
import { SimPath, type SimWeather } from "./sim_session.ts";

/** A connection of a simulation with both its ends. */
export interface SimConnection {
  readonly port: number;
  readonly near: SimEnd;
  far: SimEnd | undefined;
  readonly farPlan: SimPlan;
  /** The far side refuses with this code. */
  readonly refusal: LinkErrorCode | undefined;
  /** What the connecting side, and the shared one, were told of its end; how often. */
  result: StreamEnd | undefined;
  results: number;
  farResult: StreamEnd | undefined;
  farResults: number;
}

export interface LinkWorldOptions {
  readonly random: () => number;
  readonly resumeWindowMs: number;
  readonly weather: SimWeather;
  /** Memory that the share has for all its links; what it has usually, unless given. */
  readonly budgetBytes?: number;
  /** How long the far side takes to connect, at the longest. */
  readonly dialMs: number;
}

let identities: Promise<[Identity, Identity]> | undefined;

/** Two agents and a link between them, with time and randomness of their own. */
export class LinkWorld {
  readonly clock = new SimClock();
  readonly random: () => number;
  readonly weather: SimWeather;
  readonly connections: SimConnection[] = [];
  readonly events: LinkEvent[] = [];
  readonly paths: SimPath[] = [];
  path: SimPath | undefined;
  connector!: ConnectorLink;
  shareLinks!: ShareLinks;
  shareLink: ShareLink | undefined;
  over: LinkError | undefined;
  pathFailures = 0;
  unknown = 0;
  readonly flows = { sent: new Set<string>(), near: [] as string[], far: [] as string[] };
  /** Ticks go on while true. */
  ticking = true;
  readonly #options: LinkWorldOptions;
  readonly #content: SimContent;

  private constructor(options: LinkWorldOptions) {
    this.#options = options;
    this.random = options.random;
    this.weather = options.weather;
    this.#content = new SimContent(options.random);
  }

  static async start(options: LinkWorldOptions): Promise<LinkWorld> {
    const world = new LinkWorld(options);
    identities ??= Promise.all([generateIdentity(secureRandom), generateIdentity(secureRandom)]);
    const [device, share] = await identities;
    const settings = { resumeWindowMs: options.resumeWindowMs, agent: "spanway/test" };
    const common = { name: "calm-otter-1234", settings, random: secureRandom };
    world.shareLinks = new ShareLinks({ ...common, identity: share }, {
      reach: world.#reach(),
      now: () => world.clock.now,
      watchPorts: () => () => {},
      answer: noAnswer,
      tell: (event) => world.#heard(event),
    }, options.budgetBytes);
    const path = world.#newPath();
    let opened: Awaited<ReturnType<typeof openLink>> | undefined;
    // Signatures are made by the runtime, in real time: meanwhile nothing happens but the handshake.
    void openLink(path.near, { ...common, identity: device }, () => {}).then((result) => opened = result);
    while (opened === undefined || world.shareLink === undefined) {
      await world.clock.stepAsync();
      await new Promise((resolve) => setTimeout(resolve));
    }
    world.connector = new ConnectorLink(opened.keys, options.resumeWindowMs, {
      now: () => world.clock.now,
      later: (ms, action) => world.clock.later(ms, action),
      ended: (target, end) => {
        const connection = world.connections[target.port - 1]!;
        connection.result = end;
        connection.results++;
      },
      ports: () => {},
      roundTrip: () => {},
      pathFailed: () => world.pathFailures++,
      unknown: () => {
        world.unknown++;
        world.connector.fail(new LinkError("link-closed", "the share does not know the link"));
      },
      over: (error) => world.over = error,
    });
    world.path = path;
    world.connector.attach(path.near, opened.first);
    world.#tick();
    return world;
  }

  /** A connection that behaves by these plans. */
  connect(nearPlan: SimPlan, farPlan: SimPlan, refusal?: LinkErrorCode, opening?: () => Promise<void>): SimConnection {
    const port = this.connections.length + 1;
    const near = new SimEnd(this.clock, this.random, this.#content, [2 * port, 2 * port + 1], nearPlan);
    const connection: SimConnection = {
      port,
      near,
      far: undefined,
      farPlan,
      refusal,
      result: undefined,
      results: 0,
      farResult: undefined,
      farResults: 0,
    };
    this.connections.push(connection);
    void this.connector.connect({ host: "", port }, near, opening).then((end) => connection.result ??= end);
    return connection;
  }

  /** A UDP flow; says `count` things to an echo, in random sizes. */
  talk(count: number): void {
    const receive = (payload: Uint8Array) => void this.flows.near.push(new TextDecoder().decode(payload).trimEnd());
    const flow = this.connector.openFlow({ host: "", port: 1 }, receive, () => {});
    for (let i = 0; i < count; i++) {
      this.clock.later(this.random() * 60_000, () => {
        const text = `${this.flows.sent.size} `;
        this.flows.sent.add(text.trimEnd());
        const size = this.random() < 0.1
          ? 2000 + Math.floor(this.random() * 50_000)
          : 10 + Math.floor(this.random() * 900);
        const payload = new Uint8Array(size).fill(32);
        payload.set(new TextEncoder().encode(text));
        flow.send(payload);
      });
    }
    this.clock.later(70_000, () => flow.close());
  }

  /** The connector loses its path now, the share `farLater` milliseconds later. */
  losePath(farLater: number): void {
    const path = this.path;
    if (path === undefined) return;
    this.path = undefined;
    this.connector.detach();
    path.loseNear();
    this.clock.later(farLater, () => path.loseFar());
  }

  /** Another path. */
  renew(): void {
    if (this.over !== undefined) return;
    this.losePath(0);
    this.path = this.#newPath();
    this.connector.attach(this.path.near);
  }

  /** Lets things happen until `condition` holds. Looks at the bounds after every step. */
  async until(condition: () => boolean, limitMs = Infinity, what = "it"): Promise<void> {
    const end = this.clock.now + limitMs;
    await quiet();
    while (!condition()) {
      if (!(await this.clock.stepAsync(end))) throw new assert.AssertionError({ message: `${what} never happened` });
      this.#checkBounds();
    }
  }

  async sleep(ms: number): Promise<void> {
    let over = false;
    this.clock.later(ms, () => over = true);
    await this.until(() => over);
  }

  /** Ends everything, and makes sure that nothing of it lives on. */
  async stop(): Promise<void> {
    this.connector.close("done");
    await this.sleep(1000);
    this.shareLinks.close("done");
    this.ticking = false;
    for (const path of this.paths) {
      path.loseNear();
      path.loseFar();
      path.freeze(false, 1);
    }
    let left = 1e6;
    while (await this.clock.stepAsync()) assert.ok(left-- > 0, "something goes on for ever");
  }

  #newPath(): SimPath {
    const path = new SimPath(this.clock, this.random, this.weather);
    this.paths.push(path);
    void this.#serve(path.far);
    return path;
  }

  #tick(): void {
    if (!this.ticking) return;
    this.connector.tick();
    this.clock.later(LINK_TICK_MS / 2, () => this.shareLinks.tick());
    this.clock.later(LINK_TICK_MS, () => this.#tick());
  }

  async #serve(session: Session): Promise<void> {
    let link: ShareLink | undefined;
    void (async () => {
      for (;;) {
        const bytes = await session.datagrams.receive();
        if (bytes === undefined) return;
        link?.receiveDatagram(bytes);
      }
    })();
    for (;;) {
      const stream = await session.acceptStream();
      if (stream === undefined) return;
      const bytes = new ByteReader(stream.readable);
      void readStreamHeader(bytes).then((header) => {
        if (header === undefined) return;
        return this.shareLinks.serveLane(bytes, stream, {
          channel: 1,
          from: "here",
          datagramMaxSize: session.datagrams.maxSize,
          sendDatagram: (payload) => session.datagrams.send(payload),
        }, (found) => this.shareLink = link = found);
      }, () => {});
    }
  }

  #heard(event: LinkEvent): void {
    this.events.push(event);
    if (event.event !== "stream") return;
    const connection = this.connections[event.target.port - 1]!;
    connection.farResult = event.end;
    connection.farResults++;
  }

  #reach(): Reach {
    return {
      connect: async ({ port }: LinkTarget, signal) => {
        const connection = this.connections[port - 1]!;
        assert.equal(connection.far, undefined, "dialled twice");
        await this.clock.sleep(this.random() * this.#options.dialMs);
        if (connection.refusal !== undefined) throw new LinkError(connection.refusal, "no");
        if (signal.aborted) throw new LinkError("internal", "nobody waits any more");
        const keys: [number, number] = [2 * port + 1, 2 * port];
        connection.far = new SimEnd(this.clock, this.random, this.#content, keys, connection.farPlan);
        return connection.far;
      },
      openFlow: (_target, receive): UdpFlow => ({
        send: (payload) => {
          this.flows.far.push(new TextDecoder().decode(payload).trimEnd());
          this.clock.later(this.random() * 20, () => receive(payload));
        },
        close: () => {},
      }),
    };
  }

  #checkBounds(): void {
    for (const link of [this.connector, this.shareLink]) {
      if (link === undefined) continue;
      const { memory, streams } = link;
      const own = (streams + 1) * (LINK_STREAM_WINDOW_BYTES + LINK_RECORD_MAX_BYTES);
      assert.ok(memory.out >= 0 && memory.out <= LINK_BUDGET_BYTES + own, `${memory.out} bytes kept`);
      assert.ok(memory.in >= 0 && memory.in <= LINK_BUDGET_BYTES, `${memory.in} bytes of windows`);
    }
  }
}
