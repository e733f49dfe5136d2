/** A static IP for a share on this machine, whoever carries it. */
import { TUN_CARRIED_POLL_MS, TUN_WATCH_MS } from "../../shared/limits.ts";
import type { TunSurroundings } from "../bin/surroundings.js";
import { TunError } from "../errors.ts";
import { formatAddressBytes } from "./addresses.ts";
import { type AddressedDevice, hasRoute, openAddressed } from "./open_tun.ts";
import { type AddressClaim, type AddressKey, claimAddress, type KnownAddress } from "./share_address.ts";
import { type PingTunnel, TunFront } from "./tun_front.ts";

export interface StaticIp extends KnownAddress {
  /** Name of our device; undefined where another connection to the same share carries the address. */
  readonly device: string | undefined;
  /** Our own address on it. */
  readonly own: string | undefined;
  /** The address goes, unless others carry it. Idempotent. */
  close(): Promise<void>;
}

export interface StaticIpOptions {
  readonly tunnel: PingTunnel;
  readonly key: AddressKey;
  /** Where it is remembered which share has which address. */
  readonly dir: string;
  /** The address that it must be. */
  readonly wanted: string | undefined;
  readonly surroundings: TunSurroundings | undefined;
  /** Absolute path, where it is needed. */
  readonly ifconfig: string | undefined;
  /** There are more connections than a link carries: further ones are reset. */
  full(): void;
  /** Somebody has taken our device away. */
  lost(error: TunError): void;
  /** The connection that carried the address has ended, and this one carries it now; or cannot. */
  carriedOn(ip: StaticIp | TunError): void;
}

/**
 * Gets one.
 * @throws {TunError}
 */
export async function openStaticIp(options: StaticIpOptions): Promise<StaticIp> {
  const { surroundings, dir, key, wanted } = options;
  const libc = surroundings?.libc;
  if (!("Deno" in globalThis) || surroundings === undefined || libc === undefined) {
    throw new TunError("tun-unsupported", "A static IP needs Linux or macOS, and Deno to run on.", {
      hint: "Use --map instead, and leave SPANWAY_RUNTIME unset.",
    });
  }
  const claim = await claimAddress(dir, key, (ip) => hasRoute(libc, ip));
  if (claim.kind === "ours") return await carry(options, surroundings, claim);
  if (wanted !== undefined && wanted !== claim.address.ip) {
    throw new TunError("tun-address-taken", `This share is at ${claim.address.ip} already, by another connection.`, {
      hint: "End that one first, or leave out --ip.",
    });
  }
  return new CarriedIp(options, surroundings, claim);
}

async function carry(
  { tunnel, wanted, ifconfig, lost, full }: StaticIpOptions,
  surroundings: TunSurroundings,
  claim: AddressClaim & { readonly kind: "ours" },
): Promise<StaticIp> {
  let addressed: AddressedDevice | undefined;
  let front: TunFront | undefined;
  const undo = async () => {
    front?.close();
    addressed?.device.close();
    addressed?.release();
    await claim.release();
  };
  try {
    const wish = { wanted, remembered: claim.remembered };
    addressed = await openAddressed({ ...surroundings, ifconfig }, wish);
    const { device, ips, v6 } = addressed;
    const family = (own: Uint8Array, share: Uint8Array) => ({
      own,
      share,
      listen: { host: formatAddressBytes(own), port: 0 },
    });
    front = await TunFront.open({
      device,
      v4: family(ips.own4, ips.share4),
      v6: v6 ? family(ips.own6, ips.share6) : undefined,
      tunnel,
      full,
    });
    const [passed4, passed6] = await Promise.all([front.trial(4), v6 && front.trial(6)]);
    if (!passed4) throw firewalled(device.name);
    const address = {
      ip: formatAddressBytes(ips.share4),
      ip6: passed6 ? formatAddressBytes(ips.share6) : undefined,
    };
    await claim.publish(address);
    let closed = false;
    const end = async () => {
      closed = true;
      clearInterval(watching);
      await undo();
    };
    // An administrator may take the device away, or its address: then nothing is left to carry.
    const watching = setInterval(() => hasRoute(surroundings.libc!, address.ip) || front?.close(), TUN_WATCH_MS);
    void front.ended.then(async () => {
      if (closed) return;
      await end();
      lost(deviceLost(device.name));
    });
    return {
      ...address,
      device: device.name,
      own: formatAddressBytes(ips.own4),
      close: end,
    };
  } catch (error) {
    await undo();
    throw error;
  }
}

/** The address of another connection, as long as that lives; then ours. */
class CarriedIp implements StaticIp {
  readonly ip: string;
  readonly ip6: string | undefined;
  readonly device = undefined;
  readonly own = undefined;
  readonly #options: StaticIpOptions;
  readonly #surroundings: TunSurroundings;
  #isCarried: () => Promise<boolean>;
  #ours: StaticIp | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(
    options: StaticIpOptions,
    surroundings: TunSurroundings,
    claim: AddressClaim & { readonly kind: "carried" },
  ) {
    this.#options = options;
    this.#surroundings = surroundings;
    this.#isCarried = () => claim.isCarried();
    this.ip = claim.address.ip;
    this.ip6 = claim.address.ip6;
    this.#later();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#ours?.close();
  }

  #later(): void {
    if (!this.#closed) this.#timer = setTimeout(() => void this.#look(), TUN_CARRIED_POLL_MS);
  }

  async #look(): Promise<void> {
    if (await this.#isCarried()) return this.#later();
    const { dir, key, carriedOn } = this.#options;
    try {
      const claim = await claimAddress(dir, key, (ip) => hasRoute(this.#surroundings.libc!, ip));
      if (claim.kind === "carried") {
        this.#isCarried = () => claim.isCarried();
        return this.#later();
      }
      const wish = { ...this.#options, wanted: this.ip };
      const ours = await carry(wish, this.#surroundings, claim);
      this.#ours = ours;
      if (this.#closed) return await ours.close();
      carriedOn(ours);
    } catch (error) {
      if (!this.#closed) carriedOn(TunError.from(error));
    }
  }
}

function deviceLost(device: string): TunError {
  return new TunError("tun-failed", `Somebody has changed the device ${device}: the share has no address any more.`, {
    hint: "Connect again.",
  });
}

function firewalled(device: string): TunError {
  return new TunError("tun-firewalled", `A firewall of this machine drops what comes in from the device ${device}.`, {
    hint:
      `Let it in: sudo iptables -I INPUT -i "spanway+" -j ACCEPT; or with nft, where your rules for input are: iifname "spanway*" accept`,
  });
}
