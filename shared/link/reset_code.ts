import type { LinkErrorCode } from "../errors.ts";

/** Reasons of a RESET as they travel; the numbers never change their meaning. */
const CODES: readonly (readonly [number, LinkErrorCode])[] = [
  [1, "reset"],
  [2, "not-allowed"],
  [3, "connection-refused"],
  [4, "host-unreachable"],
  [5, "network-unreachable"],
  [6, "timed-out"],
  [7, "name-unknown"],
  [8, "too-many-streams"],
  [9, "resume-expired"],
  [10, "link-closed"],
  [11, "tampered"],
  [12, "internal"],
];

const toNumber = new Map(CODES.map(([number, code]) => [code, number]));
const toCode = new Map(CODES);

/** The number of a reason; those that never travel count as `internal`. */
export function encodeResetCode(code: LinkErrorCode): number {
  return toNumber.get(code) ?? 12;
}

/** The reason behind a number; `internal` for those of later versions. */
export function decodeResetCode(number: number): LinkErrorCode {
  return toCode.get(number) ?? "internal";
}
