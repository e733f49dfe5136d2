/** Reads capture files: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html */
import { readFileSync } from "node:fs";

const MAGIC = 0xa1b2c3d4;
const LINKTYPE_ETHERNET = 1;
const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const ETHERNET_HEADER = 14;
const ETHERTYPES: ReadonlySet<number> = new Set([0x0800, 0x86dd]);

/** The IP packets of a capture in testdata/, without their Ethernet headers. */
export function captured(name: string): Uint8Array[] {
  const file = readFileSync(new URL(`../testdata/${name}.pcap`, import.meta.url));
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  if (view.getUint32(0, true) !== MAGIC || view.getUint32(20, true) !== LINKTYPE_ETHERNET) {
    throw new Error(`${name} is no capture of Ethernet, or not in this byte order`);
  }
  const packets: Uint8Array[] = [];
  for (let at = FILE_HEADER; at < file.length;) {
    const kept = view.getUint32(at + 8, true);
    if (kept !== view.getUint32(at + 12, true)) throw new Error(`${name} has a packet that was cut`);
    const frame = at + RECORD_HEADER;
    at = frame + kept;
    if (!ETHERTYPES.has(view.getUint16(frame + 12))) throw new Error(`${name} has something other than IP`);
    packets.push(Uint8Array.from(file.subarray(frame + ETHERNET_HEADER, at)));
  }
  return packets;
}
