import type { EdgeInfo } from "../../shared/edge_info.ts";
import { errorCode, errorMessage, ServiceError, SpanwayError } from "../../shared/errors.ts";
import { EDGE_LOOKOUT_DOUBLINGS_MAX, EDGE_LOOKOUT_MS, HANDSHAKE_TIMEOUT_MS } from "../../shared/limits.ts";
import { type Control, dialHandshake } from "../../shared/relay/handshake.ts";
import { EndCode } from "../../shared/relay/relay_core.ts";
import type { Fallback } from "../../shared/transport/connect.ts";
import type { Session } from "../../shared/transport/transport.ts";
import { VERSION } from "../version.ts";
import type { Registration } from "../attach/service_api.ts";
import type { Place } from "../attach/connect_edge.ts";
import { Backoff } from "../attach/backoff.ts";
import { DialledSessions } from "./dialled_sessions.ts";
import { readUntilBye } from "../attach/until_bye.ts";

/** What the service knows of a share whose agent was away. */
export type Standing =
  /** Still this agent's; or the service does not know it (any more). */
  | "ours"
  /** A newer agent with the same key has registered it. */
  | "replaced"
  /** Its owner has ended it from elsewhere. */
  | "ended"
  | "expired";

/** What a share does to the world; simulated in tests. */
export interface ShareEffects {
  /** Unix milliseconds. */
  now(): number;
  /** From 0 up to 1. */
  random(): number;
  /** Resolves after `ms` milliseconds or when the signal aborts, whichever is first. Never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Claims or renews the name. The signal gives up. @throws {ServiceError | TicketError} */
  register(name: string, signal: AbortSignal): Promise<Registration>;
  /** Asks how the share stands. The signal gives up. @throws {ServiceError | TicketError} */
  standing(name: string, signal: AbortSignal): Promise<Standing>;
  /** Ends the share at the service. Takes no longer than somebody waits who has pressed Ctrl-C. */
  unregister(name: string): Promise<void>;
  /** Connects to one of `edges`, the first if it answers. @throws {TransportError} */
  connect(edges: readonly EdgeInfo[], signal: AbortSignal): Promise<Place>;
  /** A session at a place where the share is by a control socket. @throws {TransportError} */
  dial(edge: EdgeInfo, name: string, signal: AbortSignal): Promise<Session>;
  /** True when the service has an edge. @throws {ServiceError} */
  hasEdge(signal: AbortSignal): Promise<boolean>;
  /** A fresh ticket for HELLO. */
  ticket(name: string): Promise<Uint8Array>;
  /** Another name, when a generated one is taken; undefined when the name was chosen. */
  otherName(): string | undefined;
  /** Answers the streams of an attached session until it ends. */
  serve(session: Session): Promise<void>;
}

/** What happens to a share, for whoever watches. */
export type ShareEvent =
  | { readonly event: "registered"; readonly registration: Registration }
  | {
    readonly event: "attached";
    readonly registration: Registration;
    readonly edge: EdgeInfo;
    readonly transport: Session["transport"];
    readonly fallback: Fallback | undefined;
    /** True when it was attached before and came back. */
    readonly again: boolean;
  }
  /** Somebody came, and no session could be dialled for him. */
  | { readonly event: "unreached"; readonly code: string; readonly message: string }
  | { readonly event: "lost"; readonly code: string; readonly message: string; readonly retryInMs: number };

/** Why a share ended by itself. */
export type ShareEnd = "interrupted" | "expired";

/** Codes after which trying again cannot help. */
const FINAL: ReadonlySet<string> = new Set<string>([
  "name-taken",
  "name-invalid",
  "not-allowed",
  "bad-request",
  "unsupported-version",
  "ticket-forged",
  "ticket-foreign",
  EndCode.REPLACED,
  EndCode.ENDED,
  EndCode.EXPIRED,
]);

/** Codes after which there is nothing at the service that this agent may end. */
const NOT_OURS: ReadonlySet<string> = new Set<string>(["name-taken", EndCode.REPLACED, EndCode.ENDED]);

/**
 * Keeps one share on the air: registers, attaches, serves, and comes back after every loss until it is interrupted or
 * expires.
 */
export class ShareController {
  readonly #effects: ShareEffects;
  readonly #tell: (event: ShareEvent) => void;
  readonly #backoff: Backoff;
  #name: string;
  /** Counts tries to attach: when an edge is dead, the next one is taken. */
  #tries = 0;
  #attachedBefore = false;
  /** The attachment by a control socket that is taken up again when the socket has broken. */
  #attachment: string | undefined;
  /** A place that took us by a control socket, for when no edge does. */
  #lastResort: EdgeInfo | undefined;
  /** On the way to an edge, from a place that works. */
  #moving = false;
  /** Moves to an edge that came to nothing, in a row. */
  #failedMoves = 0;
  readonly #dialled: DialledSessions;

  constructor(name: string, effects: ShareEffects, tell: (event: ShareEvent) => void) {
    this.#name = name;
    this.#effects = effects;
    this.#tell = tell;
    this.#backoff = new Backoff(effects.random);
    this.#dialled = new DialledSessions({
      random: effects.random,
      sleep: effects.sleep,
      connect: effects.dial,
      ticket: effects.ticket,
      serve: effects.serve,
      failed: (error) => tell({ event: "unreached", code: errorCode(error), message: errorMessage(error) }),
    });
  }

  /** The name in use. It changes only before the first registration succeeds. */
  get name(): string {
    return this.#name;
  }

  /**
   * Runs until the signal aborts or the share expires.
   * @throws {SpanwayError} when trying again cannot help, or when the very first registration fails
   */
  async run(signal: AbortSignal): Promise<ShareEnd> {
    let registration = await this.#registerFirst(signal);
    this.#tell({ event: "registered", registration });
    const expiry = new AbortController();
    const stop = AbortSignal.any([signal, expiry.signal]);
    const timer = setTimeout(() => expiry.abort(), registration.expiresAt - this.#effects.now());
    try {
      while (!stop.aborted) {
        try {
          const end = await this.#attachAndServe(registration, stop);
          if (end === "move") registration = await this.#renew(registration, stop);
          this.#moving = end === "move";
        } catch (error) {
          if (stop.aborted) break;
          if (this.#moving) this.#failedMoves++;
          this.#moving = false;
          await this.#pause(unlessFinal(error), stop);
          // A suspended machine's timers stand still.
          if (this.#effects.now() >= registration.expiresAt) break;
          if (!stop.aborted) registration = await this.#renew(registration, stop);
        }
      }
    } catch (error) {
      if (errorCode(error) === EndCode.EXPIRED) return "expired";
      if (!NOT_OURS.has(errorCode(error))) await this.#unregister();
      throw error;
    } finally {
      clearTimeout(timer);
      this.#dialled.close();
    }
    if (!signal.aborted) return "expired";
    await this.#unregister();
    return "interrupted";
  }

  async #unregister(): Promise<void> {
    await this.#effects.unregister(this.#name).catch(() => {});
  }

  async #registerFirst(signal: AbortSignal): Promise<Registration> {
    for (;;) {
      try {
        return await this.#effects.register(this.#name, signal);
      } catch (error) {
        const other = errorCode(error) === "name-taken" ? this.#effects.otherName() : undefined;
        if (other === undefined) throw error;
        this.#name = other;
      }
    }
  }

  /**
   * Renews the name, unless somebody has taken it over or ended it meanwhile, and learns the edges anew. A service that
   * does not answer leaves us with what we know.
   */
  async #renew(known: Registration, signal: AbortSignal): Promise<Registration> {
    try {
      const standing = await this.#effects.standing(this.#name, signal);
      if (standing !== "ours") throw overBy(standing);
      return await this.#effects.register(this.#name, signal);
    } catch (error) {
      unlessFinal(error);
      return known;
    }
  }

  async #pause(error: unknown, signal: AbortSignal): Promise<void> {
    const retryInMs = Math.round(this.#backoff.next());
    this.#tell({ event: "lost", code: errorCode(error), message: errorMessage(error), retryInMs });
    await this.#effects.sleep(retryInMs, signal);
  }

  /** Resolves with `move` when there is a better place; what is under way goes on meanwhile. */
  async #attachAndServe(registration: Registration, signal: AbortSignal): Promise<"move" | undefined> {
    const edges = this.#lastResort !== undefined && !this.#moving && this.#failedMoves > 0
      ? [this.#lastResort]
      : registration.edges;
    if (edges.length === 0) throw new ServiceError("unavailable", "The service has no edge to attach to right now.");
    const first = this.#tries++ % edges.length;
    const inOrder = [...edges.slice(first), ...edges.slice(0, first)];
    const { session, fallback, edge, onDemand } = await this.#effects.connect(inOrder, signal);
    // Once HELLO is on its way, only WELCOME says which one it is.
    const attachment = this.#attachment;
    this.#attachment = undefined;
    const end = () => session.close({ code: 0, reason: "bye" });
    // Nobody who has pressed Ctrl-C waits for a handshake.
    signal.addEventListener("abort", end);
    try {
      const hello = {
        role: "share" as const,
        name: this.#name,
        ticket: await this.#effects.ticket(this.#name),
        agent: AGENT,
        ...(onDemand && attachment !== undefined ? { session: attachment } : {}),
      };
      const { control, welcome } = await dialHandshake(session, hello, HANDSHAKE_TIMEOUT_MS);
      signal.removeEventListener("abort", end);
      if (onDemand) {
        this.#attachment = welcome.session;
        this.#lastResort = edge;
      } else {
        this.#failedMoves = 0;
        this.#lastResort = undefined;
      }
      this.#backoff.reset();
      this.#tries--;
      const again = this.#attachedBefore;
      this.#attachedBefore = true;
      this.#tell({ event: "attached", registration, edge, transport: session.transport, fallback, again });
      return await this.#serve(session, control, onDemand ? edge : undefined, signal);
    } finally {
      signal.removeEventListener("abort", end);
      end();
    }
  }

  /** @param onDemand the place, if sessions are dialled there when somebody comes */
  async #serve(
    session: Session,
    control: Control,
    onDemand: EdgeInfo | undefined,
    signal: AbortSignal,
  ): Promise<"move" | undefined> {
    const over = new AbortController();
    const stopped = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const serving = this.#effects.serve(session);
    const bye = readUntilBye(control, session, (attachment) => {
      if (onDemand !== undefined) this.#dialled.dial(onDemand, this.#name, attachment);
    });
    const better = onDemand === undefined ? undefined : this.#watchForEdge(AbortSignal.any([signal, over.signal]));
    try {
      const end = await Promise.race([stopped, bye, ...(better === undefined ? [] : [better])]);
      if (signal.aborted) {
        if (onDemand !== undefined) await this.#dialled.leave();
        await control.send({ t: "bye", code: "bye", message: "the share is being ended by its owner" });
        return undefined;
      }
      if (end === "move") return "move";
      const reason = await bye;
      session.close();
      await serving;
      throw new SpanwayError(reason.code, reason.message);
    } finally {
      over.abort();
    }
  }

  /** Resolves with `move` once there is an edge while somebody uses the share. Never rejects. */
  async #watchForEdge(signal: AbortSignal): Promise<"move" | undefined> {
    while (!signal.aborted) {
      const wait = EDGE_LOOKOUT_MS * 2 ** Math.min(this.#failedMoves, EDGE_LOOKOUT_DOUBLINGS_MAX);
      await this.#effects.sleep(wait * (0.5 + this.#effects.random() / 2), signal);
      // Nobody gains by an edge while nobody is there, and to ask is not free.
      if (!this.#dialled.inUse || signal.aborted) continue;
      if (await this.#effects.hasEdge(signal).catch(() => false)) return "move";
    }
    return undefined;
  }
}

/** Name and version as said in HELLO. */
const AGENT = `spanway/${VERSION}`;

/** An error after which another try may help; throws all others. */
function unlessFinal(error: unknown): unknown {
  if (FINAL.has(errorCode(error))) throw error;
  return error;
}

function overBy(standing: Exclude<Standing, "ours">): ServiceError | SpanwayError {
  switch (standing) {
    case "replaced":
      return new SpanwayError(EndCode.REPLACED, "A newer spanway with the same key took this share over.");
    case "ended":
      return new ServiceError(EndCode.ENDED, "The share was ended by its owner.");
    case "expired":
      return new ServiceError(EndCode.EXPIRED, "The share has expired.");
  }
}
