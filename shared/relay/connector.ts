import type { BidiStream, Session, SessionClose } from "../transport/transport.ts";
import { LINK_FROM_MAX_CHARS } from "../limits.ts";
import type { LinkStreamHeader } from "../wire/control.ts";
import { encodeVarint } from "../wire/varint.ts";
import type { Control } from "./handshake.ts";
import { refuseStream } from "./incoming_streams.ts";
import { carryLane } from "./lane.ts";
import { sayBye, serveControl } from "./serve_control.ts";

/** Who connects. */
export interface ConnectorFacts {
  /** Name of the share. */
  readonly name: string;
  /** Of the device key that its ticket was signed with. */
  readonly fingerprint: string;
}

/** What a connector asks of the share that it belongs to. */
export interface ConnectorHost {
  /** The share's session. */
  readonly session: Session;
  /** From a lane's begin to its header, in milliseconds. */
  readonly headerMs: number;
  /** Whether this connector may have one more lane. */
  mayOpen(connector: Connector): boolean;
  /** A lane began or ended. */
  lanes(connector: Connector, change: 1 | -1): void;
  /** A lane was refused or came to nothing; `code` is for counting. */
  refused(code: string): void;
  /** It has left: its place is free. Called once. */
  left(connector: Connector, reason: string): void;
}

/** The session of one connecting agent: its lanes and datagrams go to the share that it was admitted to. */
export class Connector {
  readonly name: string;
  readonly fingerprint: string;
  readonly session: Session;
  /** Its number within the share's session. */
  readonly channel: number;
  readonly #control: Control;
  readonly #host: ConnectorHost;
  readonly #prefix: Uint8Array;
  readonly #lanes = new Set<AbortController>();
  #gone = false;

  constructor(facts: ConnectorFacts, session: Session, control: Control, channel: number, host: ConnectorHost) {
    this.name = facts.name;
    this.fingerprint = facts.fingerprint;
    this.session = session;
    this.channel = channel;
    this.#control = control;
    this.#host = host;
    this.#prefix = encodeVarint(channel);
  }

  /** Lanes that are open, or being opened. */
  get lanes(): number {
    return this.#lanes.size;
  }

  /** Serves the connector until its session ends. `fault` is the code of what it did wrong. Never rejects. */
  async serve(): Promise<{ close: SessionClose; fault: string | undefined }> {
    void this.#forwardDatagrams();
    const end = await serveControl(this.session, this.#control);
    this.#leave(end.close.reason);
    return end;
  }

  /** Takes a stream that the connector has opened. */
  take(stream: BidiStream): void {
    if (this.#gone) return refuseStream(stream);
    if (!this.#host.mayOpen(this)) {
      this.#host.refused("too-many-lanes");
      return refuseStream(stream);
    }
    void this.#carry(stream);
  }

  /** Ends its lanes, tells it why, and ends its session a little later. Never rejects. */
  async end(code: string, message: string): Promise<void> {
    if (this.#gone) return;
    this.#leave(code);
    await sayBye(this.session, this.#control, code, message);
  }

  async #carry(stream: BidiStream): Promise<void> {
    const lane = new AbortController();
    const { session } = this.#host;
    this.#lanes.add(lane);
    this.#host.lanes(this, 1);
    const problem = await carryLane(stream, {
      header: this.#header(),
      raw: session.transport === "h3" && this.session.transport === "h3",
      headerMs: this.#host.headerMs,
      open: () => session.openStream(),
    }, lane);
    this.#lanes.delete(lane);
    this.#host.lanes(this, -1);
    if (problem !== undefined && !this.#gone) this.#host.refused(problem);
  }

  /** The address may change while the session lives: every lane tells that of its begin. */
  #header(): LinkStreamHeader {
    const { remoteAddress = "" } = this.session;
    const tellable = remoteAddress.length <= LINK_FROM_MAX_CHARS && /^[\x21-\x7e]+$/.test(remoteAddress);
    return { k: "link", ch: this.channel, ...(tellable ? { from: remoteAddress } : {}) };
  }

  async #forwardDatagrams(): Promise<void> {
    const { datagrams } = this.#host.session;
    for (;;) {
      const payload = await this.session.datagrams.receive();
      if (payload === undefined || this.#gone) return;
      const bytes = new Uint8Array(this.#prefix.length + payload.length);
      bytes.set(this.#prefix);
      bytes.set(payload, this.#prefix.length);
      // What is too large, or finds the path full, is dropped: that is what datagrams are for.
      datagrams.send(bytes);
    }
  }

  #leave(reason: string): void {
    if (this.#gone) return;
    this.#gone = true;
    for (const lane of this.#lanes) lane.abort();
    this.#host.left(this, reason);
  }
}
