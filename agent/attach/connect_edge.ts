import { Buffer } from "node:buffer";
import { type Connected, connectEdge as connectBest, type Dial, type Dialers } from "../../shared/transport/connect.ts";
import { connectQmux } from "../../shared/transport/qmux/ws.ts";
import { TransportError } from "../../shared/errors.ts";
import { ATTACH_ATTEMPTS_MAX } from "../../shared/limits.ts";
import type { EdgeInfo } from "../../shared/edge_info.ts";
import { firstSuccess } from "./attempts.ts";
import { sleep } from "./sleep.ts";

/** Connects to an edge by the best transport that this runtime has and the network lets through. */
export function connectEdge(edge: EdgeInfo, signal: AbortSignal): Promise<Connected> {
  return connectBest(edge, dialers, { signal });
}

/**
 * Connects to the first of `edges` that answers, beginning with the first: one that is dead must not hold up the others,
 * and one that is being restarted is tried again.
 * @throws {TransportError} `connect-timeout`, `connect-failed`
 */
export async function connectAnyEdge(
  edges: readonly EdgeInfo[],
  signal: AbortSignal,
): Promise<Connected & { readonly edge: EdgeInfo }> {
  const found = await firstSuccess({
    attempt: async (n, attemptSignal) => {
      const edge = edges[n % edges.length]!;
      return { ...await connectEdge(edge, attemptSignal), edge };
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

const tcp: Dial = (edge, limits) => connectQmux(edge.ws, limits);

const dialers: Dialers = { udp, tcp };
