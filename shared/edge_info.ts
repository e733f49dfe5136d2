/** What an edge tells the service about itself. */
export interface EdgeReport {
  /** Random per boot. */
  readonly instance: string;
  readonly region: string;
  /** Where agents open WebTransport sessions. */
  readonly url: string;
  /** Where they fall back to QMux over WebSocket. */
  readonly ws: string;
  /** SHA-256 of the QUIC certificates that the edge may show, lower-case hex. */
  readonly certHashes: readonly string[];
  /** Base URL by which the Worker reaches the edge. */
  readonly origin: string;
}

/** An edge as agents are told of it: where they can attach. */
export interface EdgeInfo extends Pick<EdgeReport, "region" | "url" | "ws" | "certHashes"> {
  readonly id: string;
  /** False where only WebSocket is to be had. */
  readonly udp?: false;
  /** Where a share's agent holds a control socket (ws: or wss:) instead of a session, which it dials when asked to. */
  readonly control?: string;
}
