import type { EdgeInfo, EdgeReport } from "../../shared/edge_info.ts";
import { ServiceError } from "../../shared/errors.ts";
import { EDGE_TTL_MS, EDGES_MAX } from "../../shared/limits.ts";

/** A report with its edge's id and time (Unix milliseconds). */
export interface KnownEdge extends EdgeReport {
  readonly id: string;
  readonly seenAt: number;
}

/** The edges of a service: those that were heard of within EDGE_TTL_MS. Pure; the clock is an argument. */
export class EdgeRegistry {
  readonly #edges: Map<string, KnownEdge>;

  constructor(stored: Iterable<KnownEdge>) {
    this.#edges = new Map(Array.from(stored, (edge) => [edge.id, edge]));
  }

  /**
   * Takes a report; a later one replaces it, also that of a new boot.
   * @returns what to store, and the ids of edges that are forgotten
   * @throws {ServiceError} `unavailable` beyond EDGES_MAX
   */
  report(id: string, report: EdgeReport, now: number): { edge: KnownEdge; forgotten: string[] } {
    const forgotten = this.live(now).length === this.#edges.size
      ? []
      : [...this.#edges.values()].filter((edge) => !alive(edge, now) && edge.id !== id).map((edge) => edge.id);
    for (const gone of forgotten) this.#edges.delete(gone);
    if (!this.#edges.has(id) && this.#edges.size >= EDGES_MAX) {
      throw new ServiceError("unavailable", `This service takes no more than ${EDGES_MAX} edges.`);
    }
    const edge: KnownEdge = { ...report, id, seenAt: now };
    this.#edges.set(id, edge);
    return { edge, forgotten };
  }

  /** Forgets this boot of an edge. False when it is not known, or another boot is. */
  remove(id: string, instance: string): boolean {
    return this.#edges.get(id)?.instance === instance && this.#edges.delete(id);
  }

  /** The edges that are there, in a stable order. */
  live(now: number): KnownEdge[] {
    return [...this.#edges.values()].filter((edge) => alive(edge, now)).sort((a, b) => (a.id < b.id ? -1 : 1));
  }
}

/** The part of an edge that agents are told. */
export function edgeInfo(edge: KnownEdge): EdgeInfo {
  const { id, region, url, certHashes, ws } = edge;
  return { id, region, url, certHashes, ws };
}

function alive(edge: KnownEdge, now: number): boolean {
  return now - edge.seenAt < EDGE_TTL_MS;
}
