import type { LinkErrorCode } from "../../shared/errors.ts";
import { formatBytes } from "../cli/format_bytes.ts";
import type { Output } from "../cli/output.ts";
import { hostPort } from "../target/target.ts";
import type { PeerEvent, PeerReport, StreamReport } from "./peers.ts";

/** Tells a share's owner who is connected and what passes. Nothing a connector says reaches the terminal unescaped. */
export class PeerLog implements PeerReport {
  readonly #output: Output;
  /** The share's name, for connections to the shared host itself. */
  readonly #name: () => string;

  constructor(output: Output, name: () => string) {
    this.#output = output;
    this.#name = name;
  }

  peer(event: PeerEvent): void {
    const output = this.#output;
    const { state, fingerprint, from, transport, edge, region, rttMs, resumed, streams, bytesIn, bytesOut } = event;
    const optional = { from, transport, edge, region, rttMs };
    const known = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined));
    output.event("peer", { state, fingerprint, ...known, resumed, streams, bytesIn, bytesOut });
    switch (state) {
      case "connected":
        output.line(output.colors.green(`Connected: ${fingerprint}`));
        output.pairs([["through", pathText(event)]]);
        return;
      case "resumed":
        return output.note(`Connected again: ${fingerprint}`);
      case "away":
        return output.note(`Out of reach: ${fingerprint}. Its connections are kept for a while.`);
      case "gone": {
        const count = `${streams} connection${streams === 1 ? "" : "s"}`;
        output.line(
          `Disconnected: ${fingerprint}; ${count}, ${formatBytes(bytesOut)} in, ${formatBytes(bytesIn)} out.`,
        );
      }
    }
  }

  stream(report: StreamReport): void {
    const output = this.#output;
    const { fingerprint, target, code, bytesIn, bytesOut, ms, resumed } = report;
    const name = hostPort(target.host || this.#name(), target.port);
    if (!output.quiet) {
      output.event("stream", {
        fingerprint,
        target: name,
        bytesIn,
        bytesOut,
        ms,
        resumed,
        ...(code === undefined ? {} : { code }),
      });
    }
    if (code !== undefined && TOLD.has(code)) {
      output.warn(`${fingerprint} asked for ${name}: not allowed by --ports or --allow-host.`);
    }
  }
}

/** What the owner should hear of at once. */
const TOLD: ReadonlySet<LinkErrorCode> = new Set<LinkErrorCode>(["not-allowed"]);

function pathText({ from, transport, region, rttMs }: PeerEvent): string {
  const parts = [
    transport === undefined ? "the relay" : `${transport === "h3" ? "QUIC" : "WebSocket"} and the relay in ${region}`,
    ...(from === undefined ? [] : [`from ${from}`]),
    ...(rttMs === undefined ? [] : [`round trip ${Math.round(rttMs * 10) / 10} ms`]),
  ];
  return parts.join(", ");
}
