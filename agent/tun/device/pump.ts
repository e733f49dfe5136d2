/** Carries packets from a device to whoever takes them. */
import { setImmediate } from "node:timers/promises";
import type { TunDevice } from "./tun_device.ts";
import { TUN_PACKET_MAX_BYTES } from "./tun_device.ts";

/** Packets in a row before everything else of this process has its turn. */
const BURST = 64;

/**
 * Hands over each packet until the device is closed. The buffer is used again as soon as `take` returns.
 * Never rejects as long as `take` does not throw.
 */
export async function pumpPackets(
  device: TunDevice,
  take: (bytes: Uint8Array<ArrayBuffer>, length: number) => void,
): Promise<void> {
  const buffer = new Uint8Array(TUN_PACKET_MAX_BYTES + 1);
  for (;;) {
    let count = 0;
    for (; count < BURST; count++) {
      const length = device.read(buffer);
      if (length < 0) return;
      if (length === 0) break;
      take(buffer, length);
    }
    // What has just been answered often brings the next packet at once.
    if (count > 0) await setImmediate();
    else await device.readable();
  }
}
