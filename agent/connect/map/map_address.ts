/** The loopback address on which the ports of a share appear. */
import { createHash } from "node:crypto";
import { MAP_ADDRESSES_MAX } from "../../../shared/limits.ts";
import { ListenError } from "../../errors.ts";
import { bindUdp } from "../../net/udp.ts";

/** The UDP port that says of an address that it is in use: the last one, where hardly any server is. */
const CLAIM_PORT = 65_535;

/** 127.77.x.y, always the same for one share; `attempt` counts on from there. */
export function mapAddress(fingerprint: string, attempt = 0): string {
  const hash = createHash("sha256").update(fingerprint).digest();
  // Without 127.77.0.0 and 127.77.255.255: some programs take them for a network and for everybody.
  const hosts = 256 * 256 - 2;
  const host = 1 + (hash.readUInt32BE() + attempt) % hosts;
  return `127.77.${host >> 8}.${host & 255}`;
}

export interface ClaimedAddress {
  readonly ip: string;
  /** Idempotent. */
  release(): void;
}

/**
 * Takes the address for this process: a UDP port of it says to others that it is in use. Where that is so the next one
 * is taken.
 * @throws {ListenError}
 */
export async function claimMapAddress(fingerprint: string): Promise<ClaimedAddress> {
  for (let attempt = 0; attempt < MAP_ADDRESSES_MAX; attempt++) {
    const ip = mapAddress(fingerprint, attempt);
    try {
      const socket = await bindUdp({ host: ip, port: CLAIM_PORT }, () => {});
      return { ip, release: () => socket.close() };
    } catch (error) {
      if (!(error instanceof ListenError) || error.code !== "address-in-use") throw unavailable(error, ip);
    }
  }
  throw new ListenError("address-in-use", "No address in 127.77.0.0/16 is free.", {
    hint: "End other connections with --map, or use -L for the ports that you need.",
  });
}

/** Only Linux and Windows have all of 127.0.0.0/8. */
function unavailable(error: unknown, ip: string): unknown {
  if (!(error instanceof ListenError) || error.code !== "address-unavailable") return error;
  return new ListenError("address-unavailable", `This machine has no loopback address ${ip} for --map.`, {
    hint: `On macOS, add it with: sudo ifconfig lo0 alias ${ip} up; or use -L for the ports that you need.`,
    cause: error,
  });
}
