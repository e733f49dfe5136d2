/** Gets a static IP for a share on this machine. */
import { networkInterfaces } from "node:os";
import process from "node:process";
import type { TunSurroundings } from "../bin/surroundings.js";
import { setTimeout as sleep } from "node:timers/promises";
import { TUN_LOCK_WAIT_MS } from "../../shared/limits.ts";
import { TunError } from "../errors.ts";
import { network, parseIp } from "../reach/ip.ts";
import { candidates, chosen, formatAddressBytes, ipOf, parseRoutes, type TunIps, tunIps } from "./addresses.ts";
import { lockAddress } from "./device/address_lock.ts";
import { type Libc, loadLibc, readProc } from "./device/libc.ts";
import { configureLinuxDevice, deviceAddress, hasAddress6, openLinuxDevice } from "./device/linux_device.ts";
import type { FdDevice } from "./device/fd_device.ts";
import type { TunDevice } from "./device/tun_device.ts";

/** A device that has its addresses. */
export interface AddressedDevice<Device extends TunDevice = TunDevice> {
  readonly device: Device;
  readonly ips: TunIps;
  /** Whether its IPv6 addresses work. */
  readonly v6: boolean;
  /** Gives back what was taken besides the device. Idempotent. */
  release(): void;
}

/** Which address a share shall have, and which it had before. */
export interface AddressWish {
  readonly wanted: string | undefined;
  readonly remembered: string | undefined;
}

/**
 * Opens a device for a share by the means that this system has.
 * @throws {TunError}
 */
export async function openAddressed(
  { libc, ifconfig, mayMakeDevices, preparedDevices }: TunSurroundings & { readonly ifconfig: string | undefined },
  wish: AddressWish,
): Promise<AddressedDevice> {
  if (process.platform === "darwin") return await makeUtun(libc!, ifconfig, wish);
  const loaded = loadLibc(libc!);
  if (mayMakeDevices || preparedDevices.length === 0) return await makeDevice(loaded, wish);
  return await takePreparedDevice(loaded, preparedDevices, wish);
}

/** Names of the devices that we make. */
const DEVICE_NAMES = "spanway%d";

/**
 * Makes a device with an address that nothing else here uses: `wanted`, or else the remembered or the next free one.
 * @throws {TunError}
 */
export async function makeDevice(
  libc: Libc,
  { wanted, remembered }: AddressWish,
): Promise<AddressedDevice<FdDevice>> {
  const device = openLinuxDevice(libc, DEVICE_NAMES);
  try {
    const { ips, release } = await takeAddress(libc, wanted, remembered);
    try {
      const { v6 } = await configureLinuxDevice(libc, device.name, ips);
      return { device, ips, v6, release };
    } catch (error) {
      release();
      throw error;
    }
  } catch (error) {
    device.close();
    throw error;
  }
}

/**
 * Opens a device that an administrator has made, with the addresses that it has.
 * @throws {TunError}
 */
export async function takePreparedDevice(
  libc: Libc,
  names: readonly string[],
  { wanted, remembered }: AddressWish,
): Promise<AddressedDevice<FdDevice>> {
  const prepared = names.flatMap((name) => {
    const ips = deviceIps(libc, name);
    return ips === undefined ? [] : [{ name, ips, ip: formatAddressBytes(ips.share4) }];
  }).filter(({ ip }) => wanted === undefined || ip === wanted);
  // The one that the share had before comes first.
  prepared.sort((a, b) => Number(b.ip === remembered) - Number(a.ip === remembered));
  let failure: unknown;
  for (const { name, ips } of prepared) {
    try {
      const device = openLinuxDevice(libc, name);
      const v6 = await hasAddress6(libc, name, ips.own6);
      return { device, ips, v6, release: () => {} };
    } catch (error) {
      failure = error;
    }
  }
  throw failure ?? new TunError(
    "tun-address-taken",
    wanted === undefined ? "No prepared device has its addresses." : `No prepared device has the address ${wanted}.`,
    { hint: "spanway setup-tun says what an administrator has to run." },
  );
}

/** Whether this machine has a route of its own to an address. */
export function hasRoute(library: string, ip: string): boolean {
  if (process.platform !== "linux") return true;
  const wanted = parseIp(ip);
  const routes = parseRoutes(readProc(loadLibc(library), "/proc/net/route") ?? "");
  return wanted !== undefined && routes.some(({ first, bits }) => bits === 32 && first.value === wanted.value);
}

/** Never tried on the machine: see device/darwin_device.ts. */
async function makeUtun(library: string, ifconfig: string | undefined, wish: AddressWish): Promise<AddressedDevice> {
  if (ifconfig === undefined) {
    throw new TunError("tun-unsupported", "There is no ifconfig on this machine.", { hint: "Use --map instead." });
  }
  const { makeDarwinDevice } = await import("./device/darwin_device.ts");
  const used = Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.flatMap(({ cidr, family }) => family === "IPv4" && cidr !== null ? [network(cidr)] : [])
  );
  const [ips] = wish.wanted === undefined
    ? candidates(used, wish.remembered)
    : [chosen(used, parseIp(wish.wanted)!)].filter((found) => found !== undefined);
  if (ips === undefined) throw taken(wish.wanted);
  return { device: await makeDarwinDevice(library, ifconfig, ips), ips, v6: true, release: () => {} };
}

/** Both addresses of a device; undefined while it has none. */
function deviceIps(libc: Libc, name: string): TunIps | undefined {
  const own = deviceAddress(libc, name, "own");
  const share = deviceAddress(libc, name, "share");
  return own === undefined || share === undefined ? undefined : tunIps(ipOf(own), ipOf(share));
}

async function takeAddress(
  libc: Libc,
  wanted: string | undefined,
  remembered: string | undefined,
): Promise<{ readonly ips: TunIps; readonly release: () => void }> {
  const free = () => {
    const used = parseRoutes(readProc(libc, "/proc/net/route") ?? "");
    if (wanted === undefined) return [...candidates(used, remembered)];
    return [chosen(used, parseIp(wanted)!)].filter((ips) => ips !== undefined);
  };
  for (const ips of free()) {
    const release = lockAddress(libc, formatAddressBytes(ips.share4));
    if (release !== undefined) return { ips, release };
  }
  // Everybody may take a lock. Who has one and then no device only stands in the way.
  await sleep(TUN_LOCK_WAIT_MS);
  for (const ips of free()) return { ips, release: () => {} };
  throw taken(wanted);
}

function taken(wanted: string | undefined): TunError {
  if (wanted === undefined) {
    return new TunError("tun-address-taken", "Every address that spanway uses is taken on this machine.", {
      hint: "Give one of your own to --ip.",
    });
  }
  return new TunError("tun-address-taken", `The address ${wanted} is in use on this machine or its networks.`, {
    hint: "Give another one to --ip, or leave it out.",
  });
}
