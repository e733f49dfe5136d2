import type { LinkErrorCode } from "../errors.ts";

/**
 * What a link plugs on its two ends, and what it asks of them. Named after sockets, because that is what they mostly are;
 * nothing here knows a runtime.
 */

/** Where a tunnelled connection or flow leads, as the connecting side names it. */
export interface LinkTarget {
  /** A name or an IP address without brackets; empty for the shared host itself. At most 255 characters. */
  readonly host: string;
  /** 1-65535. */
  readonly port: number;
}

/** What the local end of a connection tells the link. Called only after `start`, and never from within it. */
export interface TcpListener {
  /** Bytes that came in; they are the link's from now on. May still come after `pause`, as much as was being read. */
  data(bytes: Uint8Array): void;
  /** The end of what comes in (FIN). What goes out is not touched by it. */
  end(): void;
  /** Everything that was written has been taken. Called after a `write` that said false. */
  drain(): void;
  /** The connection broke (RST, a time-out of the system, a pipe that closed). Nothing follows. Called at most once. */
  broken(): void;
}

/** The local end of one tunnelled TCP connection (or pipe). None of its methods throws. */
export interface TcpEnd {
  /** Begins reading. Called once. What came in before is delivered first. */
  start(listener: TcpListener): void;
  /** Stops reading, so that the sender is held back, and goes on. */
  pause(): void;
  resume(): void;
  /**
   * Sends bytes, which must not be changed afterwards. `taken` is called once the system has taken them, or never when
   * the connection breaks. Returns false when more than the buffer's mark waits: `drain` follows.
   */
  write(bytes: Uint8Array, taken: () => void): boolean;
  /** Sends FIN after what was written. Reading goes on. */
  end(): void;
  /** Breaks the connection so that the peer sees an error (RST), never a clean end. Idempotent; nothing is told after it. */
  reset(): void;
  /** Gives up the resources once both directions have ended. Idempotent. */
  close(): void;
}

/** How a tunnelled connection ended, for whoever counts. */
export interface StreamEnd {
  /** Undefined when both directions ended cleanly. */
  readonly code: LinkErrorCode | undefined;
  /** Bytes from the connecting side to the shared one, and back. */
  readonly bytesOut: number;
  readonly bytesIn: number;
  /** How often it was moved to another path. */
  readonly resumed: number;
}

/** One end of a UDP flow: datagrams between one local peer and one target. None of its methods throws. */
export interface UdpFlow {
  /** Sends one datagram, best effort. The bytes are the flow's from now on. */
  send(payload: Uint8Array): void;
  /** Idempotent. */
  close(): void;
}

/** What the connecting side offers its local listeners (SOCKS5, forwards, stdio). */
export interface Tunnel {
  /**
   * Carries a local connection to `target` until both directions have ended. The first bytes travel at once. `opened` is
   * called when the far side has connected, and nothing of the far side is written to `local` before its promise
   * resolves. When the far side does not connect, `local` is left untouched (the caller answers and closes it), else the
   * link ends it as the far side ended. Never rejects.
   */
  connect(target: LinkTarget, local: TcpEnd, opened?: () => Promise<void> | void): Promise<StreamEnd>;
  /**
   * Opens a UDP flow. `receive` gets the answers. `closed` is called at most once, when the flow expired or the far side
   * refused it (its code); never after `close`.
   */
  openFlow(
    target: LinkTarget,
    receive: (payload: Uint8Array) => void,
    closed: (code: LinkErrorCode | undefined) => void,
  ): UdpFlow;
}

/** Where what comes through a link comes from. */
export interface LinkOrigin {
  /** Tells the link from all others. */
  readonly link: string;
  /** Fingerprint of the device at its other end, which has proved it. */
  readonly device: string;
  /** Its address as the relay saw it when it came; it need not be true. */
  readonly from: string | undefined;
}

/** What the shared side does for a link: it decides what may be reached, and reaches it. */
export interface Reach {
  /** The same for one link, where it matters which. */
  forLink?(origin: LinkOrigin): Reach;
  /**
   * Connects to `target` if the owner allows it. The end is not yet started.
   * @throws {LinkError} `not-allowed`, `connection-refused`, `host-unreachable`, `network-unreachable`, `timed-out`,
   * `name-unknown`, `internal`
   */
  connect(target: LinkTarget, signal: AbortSignal): Promise<TcpEnd>;
  /** Opens a UDP flow if the owner allows it; as `Tunnel.openFlow`. */
  openFlow(
    target: LinkTarget,
    receive: (payload: Uint8Array) => void,
    closed: (code: LinkErrorCode | undefined) => void,
  ): UdpFlow;
}
