/** How sessions end: the close codes and reasons that every transport agrees on. */

import { CLOSE_REASON_MAX_BYTES } from "../limits.ts";
import type { SessionClose } from "./transport.ts";

/**
 * The code of a session that ended without a word from the peer: the path was lost, the peer fell silent, or it broke
 * the transport's rules. Negative, so that no peer can send it.
 */
export const SESSION_LOST_CODE = -1;

const encoder = new TextEncoder();

/** Cuts a reason to CLOSE_REASON_MAX_BYTES of UTF-8, never inside a character. */
export function boundReason(reason: string): string {
  if (reason.length * 3 <= CLOSE_REASON_MAX_BYTES) return reason;
  const bytes = new Uint8Array(CLOSE_REASON_MAX_BYTES);
  const { read } = encoder.encodeInto(reason, bytes);
  return reason.slice(0, read);
}

/** What `Session.close` was given, made fit to send: an unsigned 32-bit code and a bounded, well-formed reason. */
export function normalizeClose(close: { code?: number; reason?: string } = {}): { code: number; reason: string } {
  return { code: (close.code ?? 0) >>> 0, reason: boundReason((close.reason ?? "").toWellFormed()) };
}

/** The end of a session whose peer sent no close. `reason` tells people what was noticed. */
export function lost(reason: string): SessionClose {
  return { code: SESSION_LOST_CODE, reason: boundReason(reason), local: false };
}
