/** The user name and password that a SOCKS server asks for. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { SocksAuth } from "../../cli/options.ts";
import type { SocksCredentials } from "./socks_protocol.ts";

/** A check that takes the same time whatever is tried. */
export function socksCredentials({ user, password }: SocksAuth): SocksCredentials {
  const encoder = new TextEncoder();
  const expected = [digest(encoder.encode(user)), digest(encoder.encode(password))] as const;
  return (triedUser, triedPassword) => {
    const rightUser = timingSafeEqual(digest(triedUser), expected[0]);
    const rightPassword = timingSafeEqual(digest(triedPassword), expected[1]);
    return rightUser && rightPassword;
  };
}

/** Of the same length for all. */
function digest(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}
