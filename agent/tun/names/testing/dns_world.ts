/** A zone and queries for tests. */
import type { DnsZone } from "../dns_message.ts";

export const ZONE: DnsZone = {
  name: "otter1",
  v4: Uint8Array.of(172, 16, 0, 2),
  v6: Uint8Array.fromHex("fd005350574100590000" + "0000ac100002"),
};

/** A query for a name, or for labels that may hold anything. */
export function queryFor(name: string | readonly string[], type: number, { edns }: { edns?: number } = {}): Uint8Array {
  const labels = typeof name === "string" ? name.split(".").filter((label) => label !== "") : name;
  const bytes = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns === undefined ? 0 : 1];
  for (const label of labels) bytes.push(label.length, ...Array.from(label, (letter) => letter.charCodeAt(0)));
  bytes.push(0, type >> 8, type & 255, 0, 1);
  if (edns !== undefined) bytes.push(0, 0, 41, 4, 208, 0, edns, 0, 0, 0, 0);
  return Uint8Array.from(bytes);
}
