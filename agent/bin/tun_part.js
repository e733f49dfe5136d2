// @ts-check
/**
 * What the agent may use for a static IP: found out by the launcher, as behind its fence the agent cannot look. See
 * agent/tun/.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** Where the C library can be whose functions open a TUN device. */
const LIBRARIES = {
  linux: [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
    "/lib/libc.so.6",
  ],
  darwin: ["/usr/lib/libSystem.B.dylib"],
};

/** The right to make network devices: capability number 12 (capabilities(7)). */
const CAP_NET_ADMIN = 12n;
/** Where Linux shows its network devices. */
const DEVICES = "/sys/class/net";
/** How the names of prepared devices begin: see `spanway setup-tun`. */
const PREFIX = "spanway";

/**
 * How a command line wants a static IP: `device` for one on this machine, `inside` for one in a namespace of its own.
 * @param {{ command: string | undefined, flags: Set<string>, values: Map<string, string> }} line
 * @returns {"device" | "inside" | "setup" | undefined}
 */
export function tunPart({ command, flags, values }) {
  if (command === "setup-tun") return "setup";
  if (command !== "connect" || flags.has("--ssh")) return undefined;
  if (flags.has("--exec") || flags.has("--shell")) return "inside";
  if (flags.has("--tun") || values.has("--ip") || flags.has("--hosts")) return "device";
  if (flags.has("--no-tun") || flags.has("--map") || values.has("--stdio") || values.has("-L")) return undefined;
  // Whoever asks for nothing gets the best that there is; where it is not possible, nothing is opened for it.
  const possible = mayMakeDevices() || preparedDevices().length > 0;
  return possible ? "device" : undefined;
}

/**
 * Absolute path of the C library; undefined where there is none that is known.
 * @returns {string | undefined}
 */
export function findLibc() {
  const paths = process.platform === "linux" || process.platform === "darwin" ? LIBRARIES[process.platform] : [];
  // On macOS the file is in no directory, and is loaded all the same.
  return process.platform === "darwin" ? paths[0] : paths.find(existsSync);
}

/** True when this process may make network devices. */
export function mayMakeDevices() {
  if (process.platform === "darwin") return process.getuid?.() === 0;
  try {
    const [, hex = "0"] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
    return (BigInt(`0x${hex}`) >> CAP_NET_ADMIN & 1n) === 1n && existsSync("/dev/net/tun");
  } catch {
    return false;
  }
}

/**
 * The devices that an administrator has made, and for whom.
 * @returns {{ name: string, owner: number }[]}
 */
export function tunDevices() {
  if (process.platform !== "linux") return [];
  try {
    const names = readdirSync(DEVICES).filter((name) => name.startsWith(PREFIX));
    return names.map((name) => ({ name, owner: ownerOf(name) })).filter(({ owner }) => owner >= 0);
  } catch {
    return [];
  }
}

/**
 * Names of those that were made for whoever runs this.
 * @returns {string[]}
 */
export function preparedDevices() {
  return tunDevices().filter(({ owner }) => owner === process.getuid?.()).map(({ name }) => name);
}

/** @param {string} name */
function ownerOf(name) {
  try {
    return Number(readFileSync(`${DEVICES}/${name}/owner`, "utf8"));
  } catch {
    return -1;
  }
}
