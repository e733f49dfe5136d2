import { networkInterfaces } from "node:os";
import { OWN_ADDRESSES_CACHE_MS } from "../../shared/limits.ts";
import { canonicalIp } from "./ip.ts";

let known: ReadonlySet<string> = new Set();
let knownAt = -Infinity;

/** The addresses of this machine's network interfaces in canonical form, at most OWN_ADDRESSES_CACHE_MS old. */
export function ownAddresses(): ReadonlySet<string> {
  const now = performance.now();
  if (now - knownAt > OWN_ADDRESSES_CACHE_MS) {
    known = new Set(
      Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => canonicalIp(address))),
    );
    knownAt = now;
  }
  return known;
}
