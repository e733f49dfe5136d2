/** IP addresses from their bytes to how they are written. */

/** Four bytes as `192.0.2.1`. */
export function ipv4Text(bytes: Uint8Array): string {
  return bytes.join(".");
}

/** Sixteen bytes as RFC 5952 writes them: `2001:db8::1`. */
export function ipv6Text(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes[2 * index]! << 8 | bytes[2 * index + 1]!);
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const text = (from: number, to: number) => groups.slice(from, to).map((group) => group.toString(16)).join(":");
  if (best.length === 1) return text(0, 8);
  return `${text(0, best.start)}::${text(best.start + best.length, 8)}`;
}
