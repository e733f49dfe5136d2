import { Buffer } from "node:buffer";
import { type Connected, connectEdge as connectBest, type Dial, type Dialers } from "../../shared/transport/connect.ts";
import { connectQmux } from "../../shared/transport/qmux/ws.ts";
import type { EdgeInfo } from "../../shared/edge_info.ts";

/** Connects to an edge by the best transport that this runtime has and the network lets through. */
export function connectEdge(edge: EdgeInfo, signal: AbortSignal): Promise<Connected> {
  return connectBest(edge, dialers, { signal });
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
