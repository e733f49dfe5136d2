import assert from "node:assert/strict";
import type { LinkErrorCode } from "../errors.ts";
import { decodeResetCode, encodeResetCode } from "./reset_code.ts";

const GOLDEN: [LinkErrorCode, number][] = [
  ["reset", 1],
  ["not-allowed", 2],
  ["connection-refused", 3],
  ["host-unreachable", 4],
  ["network-unreachable", 5],
  ["timed-out", 6],
  ["name-unknown", 7],
  ["too-many-streams", 8],
  ["resume-expired", 9],
  ["link-closed", 10],
  ["tampered", 11],
  ["internal", 12],
];

Deno.test("reasons of a reset have their numbers for ever, both ways", () => {
  for (const [code, number] of GOLDEN) {
    assert.equal(encodeResetCode(code), number);
    assert.equal(decodeResetCode(number), code);
  }
});

Deno.test("reasons that never travel, and numbers of later versions, are internal ones", () => {
  for (const code of ["identity-changed", "refused"] as const) assert.equal(encodeResetCode(code), 12);
  for (let number = 0; number < 256; number++) {
    if (number < 1 || number > 12) assert.equal(decodeResetCode(number), "internal");
  }
});
