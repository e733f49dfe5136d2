/** A network interface whose packets this process reads and writes. */
export interface TunDevice {
  readonly name: string;
  /** Reads one packet into `buffer`; its length, 0 when there is none now, -1 when the device is gone. */
  read(buffer: Uint8Array<ArrayBuffer>): number;
  /** Hands `length` bytes to the kernel as one packet; what it does not take is lost, as on any network. */
  write(packet: Uint8Array, length: number): void;
  /** Resolves once there may be a packet, or the device is closed. Never rejects. */
  readable(): Promise<void>;
  /** The interface goes, with its addresses and routes, unless an administrator made it to stay. Idempotent. */
  close(): void;
}

/** The largest packet, and so the largest MTU: the fewer packets, the less work. */
export const TUN_PACKET_MAX_BYTES = 65_535;
