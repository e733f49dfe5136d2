/** SETTINGS of HTTP/3 (RFC 9114, section 7.2.4) and what WebTransport needs of them. */

import { ProtocolError } from "../../errors.ts";
import { encodeVarint } from "../../wire/varint.ts";
import { encodeFrame, FRAME_SETTINGS } from "./frames.ts";
import { readVarint62 } from "./varint62.ts";

/** RFC 9220. */
export const SETTING_ENABLE_CONNECT_PROTOCOL = 0x08;
/** RFC 9297. */
export const SETTING_H3_DATAGRAM = 0x33;
/** draft-ietf-webtrans-http3-02 to -06: what Chromium and Deno's built-in client look for. */
export const SETTING_WEBTRANSPORT_DRAFT02 = 0x2b603742;
/** draft-ietf-webtrans-http3-07 to -12: how many sessions one connection may carry. */
export const SETTING_WEBTRANSPORT_MAX_SESSIONS_DRAFT07 = 0xc671706a;

/** Settings of HTTP/2 that must not be sent in HTTP/3. */
const FORBIDDEN: ReadonlySet<number> = new Set([0x02, 0x03, 0x04, 0x05]);
const SETTINGS_MAX = 64;

/**
 * What either end says. SETTINGS_WT_ENABLED of draft-15 and later is left out on purpose: it promises the QUIC
 * extension reset_stream_at, which the runtime's QUIC does not have.
 */
export const OUR_SETTINGS: ReadonlyMap<number, number> = new Map([
  [SETTING_ENABLE_CONNECT_PROTOCOL, 1],
  [SETTING_H3_DATAGRAM, 1],
  [SETTING_WEBTRANSPORT_DRAFT02, 1],
  [SETTING_WEBTRANSPORT_MAX_SESSIONS_DRAFT07, 1],
]);

/** A SETTINGS frame. */
export function encodeSettings(settings: ReadonlyMap<number, number>): Uint8Array {
  const payload: number[] = [];
  for (const [id, value] of settings) payload.push(...encodeVarint(id), ...encodeVarint(value));
  return encodeFrame(FRAME_SETTINGS, Uint8Array.from(payload));
}

/**
 * The payload of a SETTINGS frame. Unknown settings are kept; those beyond 2^53 are left out.
 * @throws {ProtocolError} `malformed`, `too-many-items`
 */
export function decodeSettings(payload: Uint8Array): Map<number, number> {
  const settings = new Map<number, number>();
  let count = 0;
  for (let at = 0; at < payload.length;) {
    const id = readVarint62(payload, at);
    const value = id && readVarint62(payload, id.end);
    if (id === undefined || value === undefined) throw new ProtocolError("malformed", "HTTP/3 settings are cut short");
    if (FORBIDDEN.has(id.value) || settings.has(id.value)) {
      throw new ProtocolError("malformed", `HTTP/3 setting ${id.value} must not be sent, or not twice`);
    }
    if (++count > SETTINGS_MAX) throw new ProtocolError("too-many-items", "too many HTTP/3 settings");
    if (id.value !== Infinity) settings.set(id.value, value.value);
    at = value.end;
  }
  return settings;
}
