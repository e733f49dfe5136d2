/** The lines that connectors and their connections leave in the terminal. */
import { formatBytes } from "../cli/format_bytes.ts";
import type { Colors } from "../cli/output.ts";
import { printable, shorten } from "../cli/printable.ts";
import { formatMs } from "../cli/request_line.ts";
import type { PeerEvent, StreamReport } from "./peers.ts";

const TARGET_WIDTH = 28;

/** What happened to a connector. `first` is true for one that this share has not met before: it stands out. */
export function peerLine(event: PeerEvent, first: boolean, colors: Colors): string {
  const who = colors.bold(printable(event.fingerprint));
  switch (event.state) {
    case "connected": {
      const what = first ? colors.bold(colors.magenta("New connector")) : colors.green("Connected again");
      return `  ${what} ${who}${details([fromText(event), pathText(event)], colors)}`;
    }
    case "resumed":
      return `  ${colors.green("On a new path")} ${who}${details([pathText(event), timesText(event.resumed)], colors)}`;
    case "away":
      return `  ${colors.yellow("Out of reach")} ${who}${details(["its connections are kept"], colors)}`;
    case "gone": {
      const count = `${event.streams} connection${event.streams === 1 ? "" : "s"}`;
      return `  ${colors.dim("Gone")} ${who}${details([count, bytesText(event), timesText(event.resumed)], colors)}`;
    }
  }
}

/** A connection that has ended. `target` is where it led. */
export function streamLine(stream: StreamReport, target: string, colors: Colors): string {
  const who = printable(stream.fingerprint).slice(0, 7);
  const where = shorten(printable(target), TARGET_WIDTH).padEnd(TARGET_WIDTH);
  const resumed = stream.resumed === 0 ? "" : `  ${timesText(stream.resumed)}`;
  const time = colors.dim(formatMs(stream.ms).padStart(9));
  const code = stream.code === undefined ? "" : `  ${colors.red(stream.code)}`;
  // What was refused carried nothing: its reason says it all.
  const refused = stream.code !== undefined && stream.bytesIn === 0 && stream.bytesOut === 0;
  return `  ${who}  ${where}  ${time}${code}${refused ? "" : colors.dim(`  ${bytesText(stream)}${resumed}`)}`;
}

function details(parts: readonly (string | undefined)[], colors: Colors): string {
  const text = parts.filter((part) => part !== undefined && part !== "").join(", ");
  return text === "" ? "" : colors.dim(`  ${text}`);
}

/** The address comes from the relay, which may say what it likes. */
function fromText({ from }: PeerEvent): string | undefined {
  return from === undefined ? undefined : `from ${printable(from)}`;
}

function pathText({ transport, region, rttMs }: PeerEvent): string | undefined {
  if (transport === undefined) return undefined;
  const kind = transport === "h3" ? "QUIC" : transport === "qmux" ? "WebSocket" : printable(transport);
  const relay = region === undefined ? "" : ` through the relay in ${printable(region)}`;
  return `${kind}${relay}${rttMs === undefined ? "" : `, ${formatMs(rttMs)}`}`;
}

function timesText(resumed: number): string | undefined {
  return resumed === 0 ? undefined : `resumed ${resumed} time${resumed === 1 ? "" : "s"}`;
}

function bytesText({ bytesIn, bytesOut }: { readonly bytesIn: number; readonly bytesOut: number }): string {
  return `${formatBytes(bytesIn)} in, ${formatBytes(bytesOut)} out`;
}
