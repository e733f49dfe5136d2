import type { EdgeInfo } from "../../shared/edge_info.ts";
import { errorCode, errorMessage, LinkError, ServiceError, TransportError } from "../../shared/errors.ts";
import {
  CONNECT_AWAY_WAIT_MS,
  CONNECT_GOODBYE_MS,
  HANDSHAKE_TIMEOUT_MS,
  OBJECT_RETURN_SPREAD_MS,
  RECONNECT_MAX_MS,
} from "../../shared/limits.ts";
import { ConnectorLink, type ConnectorLinkEffects } from "../../shared/link/connector_link.ts";
import type { LinkTarget, StreamEnd, TcpEnd, Tunnel, UdpFlow } from "../../shared/link/ends.ts";
import type { LinkPeer } from "../../shared/link/handshake.ts";
import type { PortList } from "../../shared/link/link_control.ts";
import type { OpenedLink } from "../../shared/link/open_link.ts";
import { type Control, dialHandshake } from "../../shared/relay/handshake.ts";
import type { Connected, Fallback } from "../../shared/transport/connect.ts";
import type { Session } from "../../shared/transport/transport.ts";
import { countedFlow } from "../net/counted_flow.ts";
import type { Whereabouts } from "../attach/service_api.ts";
import { firstSuccess } from "../attach/attempts.ts";
import { Backoff } from "../attach/backoff.ts";
import { readUntilBye } from "../attach/until_bye.ts";
import { VERSION } from "../version.ts";

/** What the connecting side does to the world; simulated in tests. */
export interface PathEffects {
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
  /** From 0 up to 1. */
  random(): number;
  /** Resolves after `ms` milliseconds or when the signal aborts. Never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  later(ms: number, action: () => void): void;
  /** @throws {ServiceError | TicketError} */
  edgeOf(signal: AbortSignal): Promise<Whereabouts>;
  /** @throws {TransportError} */
  connect(edge: EdgeInfo, signal: AbortSignal): Promise<Connected>;
  /** A fresh ticket for HELLO. */
  ticket(): Promise<Uint8Array>;
  /** Sets up a link, having checked who the share is. @throws {LinkError | TransportError | ProtocolError} */
  openLink(session: Session): Promise<OpenedLink>;
}

/** What happens to the path and the link, for whoever watches. */
export type PathEvent =
  | {
    readonly event: "attached";
    readonly edge: EdgeInfo;
    readonly transport: Session["transport"];
    readonly fallback: Fallback | undefined;
    /** How often the link has come back so far. */
    readonly resumed: number;
  }
  | { readonly event: "linked"; readonly peer: LinkPeer; readonly again: boolean }
  | { readonly event: "lost"; readonly code: string; readonly message: string }
  | { readonly event: "waiting"; readonly code: string; readonly message: string }
  /** The link and all connections in it are over; another is set up. */
  | { readonly event: "broken"; readonly error: LinkError }
  | { readonly event: "roundTrip"; readonly ms: number }
  | { readonly event: "ports"; readonly ports: PortList }
  | {
    readonly event: "stream";
    /** A UDP flow counts as a connection. */
    readonly protocol: "tcp" | "udp";
    readonly target: LinkTarget;
    readonly end: StreamEnd;
    /** Milliseconds. */
    readonly duration: number;
  };

/** Codes after which trying again cannot help. */
const FINAL: ReadonlySet<string> = new Set<string>([
  "name-invalid",
  "share-unknown",
  "share-expired",
  "share-ended",
  "not-allowed",
  "bad-request",
  "unsupported-version",
  "ticket-forged",
  "ticket-foreign",
  "identity-changed",
  "refused",
  "home-unusable",
]);

interface Path {
  readonly session: Session;
  readonly control: Control;
  readonly edge: EdgeInfo;
  readonly fallback: Fallback | undefined;
  /** Why it is over, once it is. */
  readonly lost: Promise<{ readonly code: string; readonly message: string }>;
}

/** Keeps a link to one share: finds it, attaches, and finds it again after every loss. It is the tunnel for local listeners. */
export class PathController implements Tunnel {
  readonly #name: string;
  readonly #resumeWindowMs: number;
  readonly #effects: PathEffects;
  readonly #tell: (event: PathEvent) => void;
  #link: ConnectorLink | undefined;
  #path: Path | undefined;
  /** When it was set up, and how long to wait where it did not last. */
  #linkedAt = -Infinity;
  readonly #relinks: Backoff;
  #resumed = 0;
  #rttMs = 0;
  #watching = false;
  #closing = false;

  constructor(name: string, resumeWindowMs: number, effects: PathEffects, tell: (event: PathEvent) => void) {
    this.#name = name;
    this.#resumeWindowMs = resumeWindowMs;
    this.#effects = effects;
    this.#tell = tell;
    this.#relinks = new Backoff(() => effects.random());
  }

  /** Connections and UDP flows now. */
  get load(): { readonly streams: number; readonly flows: number } {
    return { streams: this.#link?.streams ?? 0, flows: this.#link?.flows ?? 0 };
  }

  /**
   * Attaches for the first time; resolves once the share has answered on the link. False when the signal aborted.
   * @throws {SpanwayError} when the share cannot be reached
   */
  async start(signal: AbortSignal): Promise<boolean> {
    const begun = this.#effects.now();
    const inTime = () => this.#effects.now() - begun < CONNECT_AWAY_WAIT_MS;
    const backoff = new Backoff(() => this.#effects.random());
    for (;;) {
      const path = await this.#findPath(signal, (error) => errorCode(error) === "share-away" && inTime());
      if (path === undefined) return false;
      try {
        await this.#useOrClose(path, signal);
        await this.#untilConfirmed(path, signal);
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        // The edge may not have noticed yet that the share is gone.
        if (FINAL.has(errorCode(error)) || !inTime()) throw error;
        this.#tell({ event: "waiting", code: errorCode(error), message: errorMessage(error) });
        await this.#effects.sleep(backoff.next(), signal);
      }
    }
  }

  /**
   * Keeps the link until the signal aborts.
   * @throws {SpanwayError} when it is over for good
   */
  async run(signal: AbortSignal): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const backoff = new Backoff(() => this.#effects.random());
    try {
      while (!signal.aborted) {
        const begun = this.#effects.now();
        const before = this.#path;
        if (before !== undefined) await Promise.race([this.#untilLost(before), stopped]);
        // An update of the Worker drops everybody at once.
        if (before?.edge.udp === false && !signal.aborted) {
          await this.#effects.sleep(this.#effects.random() * OBJECT_RETURN_SPREAD_MS, signal);
        }
        // Paths that are soon lost again are not looked for at once each time.
        if (this.#effects.now() - begun > RECONNECT_MAX_MS) backoff.reset();
        else await this.#effects.sleep(backoff.next(), signal);
        if (signal.aborted) return;
        const path = await this.#findPath(signal, (error) => !FINAL.has(errorCode(error)));
        if (path !== undefined) {
          await this.#useOrClose(path, signal).catch((error) => {
            if (signal.aborted) return;
            if (FINAL.has(errorCode(error))) throw error;
            this.#tell({ event: "waiting", code: errorCode(error), message: errorMessage(error) });
          });
        }
      }
    } catch (error) {
      this.#link?.fail(new LinkError("link-closed", errorMessage(error)));
      throw error;
    }
  }

  /** Housekeeping, every LINK_TICK_MS. */
  tick(): void {
    this.#link?.tick();
  }

  /** Wants to hear of the ports that the share listens on. */
  watchPorts(): void {
    this.#watching = true;
    this.#link?.watchPorts(true);
  }

  /** Ends the link and the session. Resolves once the share knows, or after a moment. Never rejects. */
  async close(): Promise<void> {
    const path = this.#path;
    this.#path = undefined;
    this.#closing = true;
    const link = this.#link;
    this.#link = undefined;
    const closing = link?.close("The connecting side has ended.");
    const enough = new AbortController();
    await Promise.race([closing, this.#effects.sleep(CONNECT_GOODBYE_MS, enough.signal)]);
    enough.abort();
    if (path === undefined) return;
    await path.control.send({ t: "bye", code: "bye", message: "the connecting side has ended" });
    path.session.close({ code: 0, reason: "bye" });
  }

  connect(target: LinkTarget, local: TcpEnd, opened?: () => Promise<void> | void): Promise<StreamEnd> {
    return this.#link?.connect(target, local, opened) ??
      Promise.resolve({ code: "link-closed", bytesOut: 0, bytesIn: 0, resumed: 0 });
  }

  /** Asks the share something that is no matter of links. @throws {AnswerError} the share's no; {LinkError} */
  ask(about: string, data?: Uint8Array): Promise<Uint8Array> {
    return this.#link?.ask(about, data) ??
      Promise.reject(new LinkError("link-closed", "The connection to the share is interrupted just now."));
  }

  /** True once the share has given a sign of life over the link. */
  ping(): Promise<boolean> {
    return this.#link?.ping() ?? Promise.resolve(false);
  }

  openFlow(
    target: LinkTarget,
    receive: (payload: Uint8Array) => void,
    closed: Parameters<Tunnel["openFlow"]>[2],
  ): UdpFlow {
    const link = this.#link;
    if (link !== undefined) {
      const startedAt = this.#effects.now();
      return countedFlow((...asked) => link.openFlow(...asked), [target, receive, closed], (end) => {
        const { code, sentBytes: bytesOut, receivedBytes: bytesIn } = end;
        const duration = this.#effects.now() - startedAt;
        this.#tell({
          event: "stream",
          protocol: "udp",
          target,
          end: { code, bytesOut, bytesIn, resumed: 0 },
          duration,
        });
      });
    }
    queueMicrotask(() => closed("link-closed"));
    return { send: () => {}, close: () => {} };
  }

  /** A session with the share's edge. Undefined when the signal aborted. */
  #findPath(signal: AbortSignal, mayHelp: (error: unknown) => boolean): Promise<Path | undefined> {
    let told = false;
    return firstSuccess<Path>({
      attempt: (_, attemptSignal) => this.#attach(attemptSignal),
      discard: ({ session }) => session.close({ code: 0, reason: "bye" }),
      isFinal: (error) => FINAL.has(errorCode(error)) || !mayHelp(error),
      failed: (error) => {
        if (!told) this.#tell({ event: "waiting", code: errorCode(error), message: errorMessage(error) });
        told = true;
      },
      random: () => this.#effects.random(),
      sleep: (ms, sleepSignal) => this.#effects.sleep(ms, sleepSignal),
      signal,
    });
  }

  async #attach(signal: AbortSignal): Promise<Path> {
    const { edge } = await this.#effects.edgeOf(signal);
    if (edge === undefined) {
      throw new ServiceError("share-away", `The share ${this.#name} is away just now.`, {
        hint: "Its spanway is not running, or its network is down. Try again in a moment.",
      });
    }
    const { session, fallback } = await this.#effects.connect(edge, signal);
    const end = () => session.close({ code: 0, reason: "bye" });
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    try {
      const hello = {
        role: "connect" as const,
        name: this.#name,
        ticket: await this.#effects.ticket(),
        agent: `spanway/${VERSION}`,
      };
      const { control } = await dialHandshake(session, hello, HANDSHAKE_TIMEOUT_MS);
      if (signal.aborted) throw new TransportError("session-closed", "another attempt was faster");
      return { session, control, edge, fallback, lost: readUntilBye(control, session) };
    } catch (error) {
      end();
      throw error;
    } finally {
      signal.removeEventListener("abort", end);
    }
  }

  async #useOrClose(path: Path, signal: AbortSignal): Promise<void> {
    const end = () => path.session.close({ code: 0, reason: "bye" });
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    try {
      await this.#use(path);
    } catch (error) {
      end();
      if (this.#path === path) this.#path = undefined;
      throw error;
    } finally {
      signal.removeEventListener("abort", end);
    }
  }

  /** Waits for the share's first word on a new link. @throws {TransportError} when the path is lost before, or silent */
  async #untilConfirmed(path: Path, signal: AbortSignal): Promise<void> {
    const link = this.#link;
    const enough = new AbortController();
    const confirmed = await Promise.race([
      link?.confirmed.then(() => true) ?? false,
      path.lost.then(() => false),
      this.#effects.sleep(HANDSHAKE_TIMEOUT_MS, AbortSignal.any([signal, enough.signal])).then(() => false),
    ]);
    enough.abort();
    if (confirmed) return;
    path.session.close({ code: 0, reason: "bye" });
    this.#path = undefined;
    this.#link = undefined;
    const error = new TransportError("connect-timeout", "The share does not answer.");
    link?.fail(new LinkError("link-closed", error.message));
    throw error;
  }

  /** Puts the link on a path, or makes one there. */
  async #use(path: Path): Promise<void> {
    this.#path = path;
    const { edge, fallback, session } = path;
    if (this.#link !== undefined) {
      this.#resumed++;
      this.#link.attach(session);
      this.#tell({ event: "attached", edge, transport: session.transport, fallback, resumed: this.#resumed });
      return this.#tellPath();
    }
    await this.#newLink(path, false);
  }

  async #newLink(path: Path, again: boolean): Promise<void> {
    const { keys, peer, first } = await this.#effects.openLink(path.session);
    // Meanwhile the path may have been lost, and another found.
    if (this.#path !== path) throw new TransportError("session-closed", "The path was lost.");
    const link: ConnectorLink = new ConnectorLink(
      keys,
      Math.min(this.#resumeWindowMs, peer.settings.resumeWindowMs),
      this.#linkEffects(() => link, () => confirmed),
    );
    this.#link = link;
    this.#linkedAt = this.#effects.now();
    this.#resumed = 0;
    let confirmed = false;
    void link.confirmed.then(() => confirmed = true);
    link.attach(path.session, first);
    const { edge, fallback, session } = path;
    this.#tell({ event: "attached", edge, transport: session.transport, fallback, resumed: 0 });
    this.#tell({ event: "linked", peer, again });
    if (this.#watching) link.watchPorts(true);
    this.#tellPath();
  }

  /** Another link on the same path: at once, unless links there do not last. */
  #linkAgain(path: Path, leave: () => void): void {
    const link = () => {
      if (this.#path === path && this.#link === undefined) this.#newLink(path, true).catch(leave);
    };
    if (this.#effects.now() - this.#linkedAt <= RECONNECT_MAX_MS) {
      return this.#effects.later(this.#relinks.next(), link);
    }
    this.#relinks.reset();
    link();
  }

  #linkEffects(link: () => ConnectorLink, wasConfirmed: () => boolean): ConnectorLinkEffects {
    const current = () => this.#link === link();
    return {
      now: () => this.#effects.now(),
      later: (ms, action) => this.#effects.later(ms, action),
      ended: (target, end, startedAt) => {
        this.#tell({ event: "stream", protocol: "tcp", target, end, duration: this.#effects.now() - startedAt });
      },
      ports: (ports) => this.#tell({ event: "ports", ports }),
      roundTrip: (ms) => {
        const first = this.#rttMs === 0;
        this.#rttMs = ms;
        this.#tell({ event: "roundTrip", ms });
        if (first) this.#tellPath();
      },
      pathFailed: () => this.#path?.session.close({ code: 0, reason: "bye" }),
      unknown: () => {
        if (!current()) return;
        link().fail(new LinkError("link-closed", "The share was started anew: its connections are closed."));
      },
      over: (error) => {
        if (!current()) return;
        this.#link = undefined;
        this.#tell({ event: "broken", error });
        const path = this.#path;
        if (path === undefined) return;
        const leave = () => path.session.close({ code: 0, reason: "bye" });
        // A path on which somebody tampers, or a link never comes about, is not worth a second try.
        if (error.code === "link-closed" && wasConfirmed()) this.#linkAgain(path, leave);
        else leave();
      },
    };
  }

  #tellPath(): void {
    if (this.#path === undefined) return;
    const { edge, session } = this.#path;
    this.#link?.tellPath({
      transport: session.transport,
      edge: edge.id,
      region: edge.region,
      rttMs: this.#rttMs,
      resumed: this.#resumed,
    });
  }

  async #untilLost(path: Path): Promise<void> {
    const { code, message } = await path.lost;
    path.session.close();
    if (this.#path === path) this.#path = undefined;
    this.#link?.detach();
    if (!this.#closing) this.#tell({ event: "lost", code, message });
  }
}
