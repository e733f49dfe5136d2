import { ServiceError } from "../../shared/errors.ts";
import { API_BODY_DISCARD_MAX_BYTES, API_BODY_MAX_BYTES } from "../../shared/limits.ts";
import { parseObject } from "./input.ts";

/** The body of an API request was larger than API_BODY_MAX_BYTES. */
export class BodyTooLargeError extends ServiceError {
  constructor() {
    super("bad-request", `The body of the request is larger than ${API_BODY_MAX_BYTES} bytes.`);
  }
}

/**
 * Reads a JSON object from a request, never holding more than API_BODY_MAX_BYTES of it.
 * @throws {ServiceError} `bad-request`; {@link BodyTooLargeError}
 */
export async function readObject(request: Request): Promise<Record<string, unknown>> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  const reader = request.body?.getReader();
  for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
    const chunk: Uint8Array = part.value;
    size += chunk.length;
    if (size <= API_BODY_MAX_BYTES) text += decoder.decode(chunk, { stream: true });
    // A little too much is read to its end: cutting it off could reset the connection before our answer is read.
    else if (size > API_BODY_DISCARD_MAX_BYTES) break;
  }
  if (size > API_BODY_MAX_BYTES) {
    await reader?.cancel();
    throw new BodyTooLargeError();
  }
  return parseObject(text + decoder.decode());
}
