import { errorMessage } from "../../shared/errors.ts";
import type { EdgeRef } from "../share/share_record.ts";
import { passedHeaders, type PassOn } from "./forwarded.ts";

/**
 * Passes a visitor's request on to the edge where the share is. The answer goes back as it is: undecoded, unbuffered, with
 * an upgraded WebSocket if there is one. Undefined when nobody answers there, and when the share has just left it and the
 * request can be sent once more.
 */
export async function passToEdge(request: Request, edge: EdgeRef, facts: PassOn): Promise<Response | undefined> {
  const url = new URL(request.url);
  try {
    const response = await fetch(edge.origin + url.pathname + url.search, {
      method: request.method,
      headers: passedHeaders(request.headers, facts),
      body: request.body,
      redirect: "manual",
      signal: request.signal,
    });
    // Bytes of a body may be gone by now.
    if (response.headers.get("x-spanway-problem") !== "share-away" || request.body !== null) return response;
    await response.body?.cancel();
    return undefined;
  } catch (error) {
    console.log(JSON.stringify({ event: "edge-unreachable", edge: edge.id, error: errorMessage(error) }));
    return undefined;
  }
}
