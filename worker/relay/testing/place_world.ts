/** A share's object, evicted whenever a test wants it, with agents and visitors around it, under a clock of its own. */
import assert from "node:assert/strict";
import { errorCode } from "../../../shared/errors.ts";
import { SimClock } from "../../../shared/link/testing/sim_clock.ts";
import { dialHandshake, RefusedError } from "../../../shared/relay/handshake.ts";
import type { Admission, ConnectorAdmission } from "../../../shared/relay/relay_core.ts";
import type { TicketClaims } from "../../../shared/ticket/ticket.ts";
import { type MemoryPair, memoryPair } from "../../../shared/transport/memory.ts";
import { decodeControl, encodeControl, type Hello } from "../../../shared/wire/control.ts";
import { WORKER_EDGE } from "../../edges/worker_edge.ts";
import type { ShareRecord } from "../../share/share_record.ts";
import { ShareState } from "../../share/share_state.ts";
import type { ControlSocket } from "../control_sockets.ts";
import { SharePlace, type Way } from "../share_place.ts";

export const NAME = "fair-otter-0001";
export const ORIGIN = "https://share.example";
const OWNER = "owner";
const HOUR = 3_600_000;

/** What stays in memory between two evictions. */
interface Loaded {
  readonly place: SharePlace;
  readonly state: ShareState;
  readonly sessions: Set<MemoryPair>;
  /** Resolves when it is evicted. */
  readonly gone: PromiseWithResolvers<void>;
}

export class PlaceWorld {
  readonly clock = new SimClock();
  readonly random: () => number;
  /** The record, as it was stored last. */
  disk: ShareRecord | undefined;
  /** Control sockets that are open; they outlive the object. */
  readonly sockets: SimSocket[] = [];
  /** Visitors that wait. */
  waiting = 0;
  #loaded: Loaded | undefined;
  #tickets = 0;

  constructor(random: () => number) {
    this.random = random;
    const state = new ShareState(undefined);
    state.claim(this.ticket("share"), { expiresAt: this.now + 24 * HOUR, chosen: false, meta: {} }, this.now);
    this.disk = structuredClone(state.record);
  }

  /** Unix milliseconds. */
  get now(): number {
    return 1_700_000_000_000 + this.clock.now;
  }

  /** The object, loaded if it is not. */
  get object(): Loaded {
    return this.#loaded ??= this.#load();
  }

  /** Nobody is in it, and nobody waits for it: the runtime may let go of it. */
  get isIdle(): boolean {
    return this.waiting === 0 && (this.#loaded?.sessions.size ?? 0) === 0;
  }

  /** Everything that the object has in memory is lost, and every session with it. */
  evict(): void {
    const lost = this.#loaded;
    this.#loaded = undefined;
    for (const pair of lost?.sessions ?? []) pair.cut();
    lost?.gone.resolve();
  }

  /** A deploy: the object goes, and every WebSocket with it. */
  restart(): void {
    this.evict();
    for (const socket of [...this.sockets]) socket.drop();
  }

  /** Resolves with the way that a visitor finds, or `lost` when the object went meanwhile. */
  async visit(): Promise<Way["at"] | "lost" | "busy"> {
    const { place, gone } = this.object;
    this.waiting++;
    try {
      return await Promise.race([
        gone.promise.then(() => "lost" as const),
        place.find().then(({ at }) => at, (error) => {
          assert.equal(errorCode(error), "rate-limited");
          return "busy" as const;
        }),
      ]);
    } finally {
      this.waiting--;
    }
  }

  /** A session with the object, as over a WebSocket of its own. */
  session(): MemoryPair {
    const { place, sessions } = this.object;
    const pair = memoryPair();
    sessions.add(pair);
    void place.serve(Promise.resolve(pair.server), ORIGIN).then(() => sessions.delete(pair));
    return pair;
  }

  /** A fresh ticket's claims, which stand for the ticket itself. */
  ticket(role: TicketClaims["role"]): TicketClaims {
    return {
      role,
      name: NAME,
      audience: ORIGIN,
      id: `ticket-${this.#tickets++}`,
      issuedAt: this.now,
      deadAt: this.now + HOUR,
      issuer: role === "connect" ? "somebody" : OWNER,
      publicKey: new Uint8Array(32),
    };
  }

  /** Lets everything happen that happens within `ms`, and does `between` after each of it. */
  async run(ms: number, between: () => void = () => {}): Promise<void> {
    const end = this.clock.now + ms;
    while (await this.clock.stepAsync(end)) between();
    this.clock.later(end - this.clock.now, () => {});
    await this.clock.stepAsync(end);
  }

  #load(): Loaded {
    const state = new ShareState(structuredClone(this.disk));
    const save = () => {
      this.disk = structuredClone(state.record);
    };
    const there = () => this.#loaded?.state === state;
    const place: SharePlace = new SharePlace({
      name: () => NAME,
      now: () => this.now,
      later: (ms, action) => {
        let cancelled = false;
        this.clock.later(ms, () => {
          if (!cancelled && there()) action();
        });
        return () => void (cancelled = true);
      },
      sockets: () => this.sockets,
      attachment: () => state.record?.attachment,
      isOver: () => !["attached", "away"].includes(state.lookup(this.now).state),
      admitShare: (hello) => Promise.resolve().then(() => this.#admit(state, hello, save)),
      admitConnector: (hello) => Promise.resolve().then(() => this.#admitConnector(state, hello)),
      detach: (session) => {
        state.detach(WORKER_EDGE, session, this.now);
        if (there()) save();
        place.changed();
      },
    });
    return { place, state, sessions: new Set(), gone: Promise.withResolvers() };
  }

  #admit(state: ShareState, hello: Hello, save: () => void): Admission {
    assert.equal(this.#loaded?.state, state, "somebody is admitted by an object that is gone");
    const session = hello.session ?? `s${this.#tickets}`;
    const { expiresAt } = hello.session === undefined
      ? state.attach(this.ticket("share"), WORKER_EDGE, session, [ORIGIN], this.now)
      : state.resume(this.ticket("share"), WORKER_EDGE, session, [ORIGIN], this.now);
    save();
    return { session, name: NAME, expiresAt };
  }

  #admitConnector(state: ShareState, { name }: Hello): ConnectorAdmission {
    const { expiresAt, attachment } = state.whereabouts(this.ticket("connect"), [ORIGIN], this.now);
    return { session: attachment?.session ?? "", name, expiresAt, fingerprint: "somebody" };
  }
}

/** A WebSocket with a delay, the object's end of it. */
export class SimSocket implements ControlSocket {
  readonly #world: PlaceWorld;
  readonly #agent: { heard(bytes: Uint8Array): void; closed(): void };
  #attachment: unknown = null;
  /** Of the messages so far; none overtakes another. */
  #arrivals = { up: 0, down: 0 };

  constructor(world: PlaceWorld, agent: { heard(bytes: Uint8Array): void; closed(): void }) {
    this.#world = world;
    this.#agent = agent;
    world.object.place.addControl(this, ORIGIN);
    world.sockets.push(this);
  }

  /** The agent says something. */
  say(bytes: Uint8Array): void {
    this.#carry("up", () => {
      if (this.isOpen) void this.#world.object.place.controlMessage(this, bytes);
    });
  }

  /** The agent closes it, or its end breaks. */
  leave(): void {
    this.#carry("up", () => {
      if (this.#remove()) this.#world.object.place.controlClosed(this);
    });
  }

  /** Both ends break, and no object hears of it. */
  drop(): void {
    if (this.#remove()) this.#carry("down", () => this.#agent.closed());
  }

  get isOpen(): boolean {
    return this.#world.sockets.includes(this);
  }

  send(bytes: Uint8Array): void {
    if (!this.isOpen) throw new Error("it is closed");
    const copy = bytes.slice();
    this.#carry("down", () => this.#agent.heard(copy));
  }

  close(): void {
    if (!this.#remove()) return;
    this.#carry("down", () => this.#agent.closed());
    // The runtime tells the object of a close once the other side has agreed.
    this.#carry("up", () => this.#world.object.place.controlClosed(this));
  }

  serializeAttachment(value: unknown): void {
    this.#attachment = structuredClone(value);
  }

  deserializeAttachment(): unknown {
    return structuredClone(this.#attachment);
  }

  #remove(): boolean {
    const at = this.#world.sockets.indexOf(this);
    if (at >= 0) this.#world.sockets.splice(at, 1);
    return at >= 0;
  }

  #carry(way: "up" | "down", action: () => void): void {
    const { clock, random } = this.#world;
    const at = Math.max(this.#arrivals[way], clock.now + 1 + Math.floor(random() * 20));
    this.#arrivals[way] = at;
    clock.later(at - clock.now, action);
  }
}

/** An agent as far as its object is concerned: a control socket that comes back, and a session for each DIAL. */
export class SimAgent {
  readonly #world: PlaceWorld;
  #socket: SimSocket | undefined;
  attachment: string | undefined;
  /** Why it has ended; undefined while it goes on. */
  over: string | undefined;
  /** DIALs that it does not hear. */
  deafTo = 0;
  /** Sessions that it has dialled. */
  dials = 0;
  /** Codes by which those were refused. */
  readonly refusals: string[] = [];

  constructor(world: PlaceWorld) {
    this.#world = world;
    this.#connect();
  }

  /** Its connection breaks, and it notices. */
  breakSocket(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.leave();
    if (socket !== undefined) this.#comeBack();
  }

  /** Ctrl-C. */
  stop(): void {
    this.over = "bye";
    this.#socket?.say(encodeControl({ t: "bye", code: "bye", message: "" }));
  }

  #connect(): void {
    if (this.over !== undefined) return;
    const socket: SimSocket = new SimSocket(this.#world, {
      heard: (bytes) => {
        if (this.#socket === socket) this.#hear(bytes);
      },
      closed: () => {
        if (this.#socket !== socket) return;
        this.#socket = undefined;
        this.#comeBack();
      },
    });
    this.#socket = socket;
    socket.say(encodeControl({ ...this.#hello(), t: "hello", versions: [1], ...this.#resuming() }));
  }

  #comeBack(): void {
    this.#world.clock.later(50 + this.#world.random() * 200, () => this.#connect());
  }

  #hear(bytes: Uint8Array): void {
    const message = decodeControl(bytes);
    switch (message?.t) {
      case "welcome":
        this.attachment = message.session;
        return;
      case "dial":
        if (this.deafTo-- <= 0) void this.#dial(message.session);
        return;
      case "refuse":
      case "bye":
        this.over ??= message.code;
    }
  }

  async #dial(session: string): Promise<void> {
    await this.#world.clock.sleep(1 + this.#world.random() * 30);
    if (this.over !== undefined) return;
    this.dials++;
    const { client } = this.#world.session();
    try {
      const { control } = await dialHandshake(client, { ...this.#hello(), session }, 60_000);
      for (;;) {
        const message = await control.read();
        if (message === undefined || message.t === "bye") break;
      }
    } catch (error) {
      if (error instanceof RefusedError) this.refusals.push(errorCode(error));
    }
    client.close();
  }

  #hello() {
    return { role: "share", name: NAME, ticket: new Uint8Array(8), agent: "sim" } as const;
  }

  #resuming(): { session?: string } {
    return this.attachment === undefined ? {} : { session: this.attachment };
  }
}
