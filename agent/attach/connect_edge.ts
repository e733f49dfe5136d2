import { Buffer } from "node:buffer";
import { type Connected, connectEdge as connectBest, type Dial } from "../../shared/transport/connect.ts";
import { connectQmux } from "../../shared/transport/qmux/ws.ts";
import { TransportError } from "../../shared/errors.ts";
import { SESSION_HEADER } from "../../shared/internal_headers.ts";
import { ATTACH_ATTEMPTS_MAX, HANDSHAKE_TIMEOUT_MS, OBJECT_IDLE_TIMEOUT_MS } from "../../shared/limits.ts";
import type { EdgeInfo } from "../../shared/edge_info.ts";
import { connectControl } from "./control_session.ts";
import { firstSuccess } from "./attempts.ts";
import { sleep } from "./sleep.ts";

/**
 * Connects to an edge by the best transport that this runtime has and the network lets through.
 * @param name of the share: where the Worker itself takes sessions, it is how it finds the share
 */
export async function connectEdge(edge: EdgeInfo, name: string, signal: AbortSignal): Promise<Connected> {
  const headers = { [SESSION_HEADER]: name };
  const tcp: Dial = ({ ws }, limits) => connectQmux(ws, { ...limits, headers });
  if (edge.udp !== false) return await connectBest(edge, { udp, tcp }, { signal });
  const session = await connectQmux(edge.ws, {
    timeoutMs: HANDSHAKE_TIMEOUT_MS,
    idleTimeoutMs: OBJECT_IDLE_TIMEOUT_MS,
    headers,
    signal,
  });
  return { session, fallback: undefined };
}

/** Where a share's agent is: at an edge by a session, or at the Worker by a control socket that asks for one. */
export interface Place extends Connected {
  readonly edge: EdgeInfo;
  /** True for a control socket: sessions are dialled on demand. */
  readonly onDemand: boolean;
}

/**
 * Connects to the first of `edges` that answers, beginning with the first: one that is dead must not hold up the others,
 * and one that is being restarted is tried again.
 * @throws {TransportError} `connect-timeout`, `connect-failed`
 */
export async function connectAnyEdge(
  edges: readonly EdgeInfo[],
  name: string,
  signal: AbortSignal,
): Promise<Place> {
  const found = await firstSuccess<Place>({
    attempt: async (n, attemptSignal) => {
      const edge = edges[n % edges.length]!;
      if (edge.control === undefined) {
        return { ...await connectEdge(edge, name, attemptSignal), edge, onDemand: false };
      }
      const headers = { [SESSION_HEADER]: name };
      const session = await connectControl(edge.control, { headers, signal: attemptSignal });
      return { session, fallback: undefined, edge, onDemand: true };
    },
    discard: ({ session }) => session.close({ code: 0, reason: "another edge was faster" }),
    isFinal: () => false,
    random: Math.random,
    sleep,
    signal,
    max: Math.max(ATTACH_ATTEMPTS_MAX, 2 * edges.length),
  });
  if (found === undefined) throw new TransportError("connect-failed", "the connection was given up");
  return found;
}

const udp: Dial = async (edge, limits) => {
  const hashes = edge.certHashes.map((hash) => new Uint8Array(Buffer.from(hash, "hex")));
  const certHashes = hashes.length > 0 ? { certHashes: hashes } : {};
  if ("Deno" in globalThis) {
    const { connectH3 } = await import("../../shared/transport/deno/h3_client.ts");
    return await connectH3(edge.url, { ...certHashes, timeoutMs: limits.timeoutMs });
  }
  const { connectNodeH3 } = await import("../../shared/transport/node/connect.ts");
  return await connectNodeH3(edge.url, { ...certHashes, timeoutMs: limits.timeoutMs });
};
