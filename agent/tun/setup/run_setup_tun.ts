/** `spanway setup-tun`: what an administrator does once, so that a person gets static IPs without any rights. */
import { execFile } from "node:child_process";
import process from "node:process";
import type { CommandContext } from "../../cli/context.ts";
import type { SetupTunOptions } from "../../cli/options.ts";
import { TunError, UsageError } from "../../errors.ts";
import { launched, type Surroundings } from "../../launched.ts";
import { shellWord } from "../../shell/shell_word.ts";
import { formatAddressBytes } from "../addresses.ts";
import { type Libc, loadLibc } from "../device/libc.ts";
import { keepLinuxDevice, openLinuxDevice } from "../device/linux_device.ts";
import { makeDevice } from "../open_tun.ts";

/**
 * Makes a device for a user, or takes the user's away; without the right to it, says who can.
 * @throws {TunError | UsageError}
 */
export async function runSetupTun(options: SetupTunOptions, { output }: CommandContext): Promise<void> {
  const around = launched();
  const { tun } = around;
  if (process.platform !== "linux" || tun?.libc === undefined || !("Deno" in globalThis)) {
    throw new TunError("tun-unsupported", "Devices can be prepared on Linux only.", {
      hint: "Elsewhere use --map, or on macOS: sudo spanway connect NAME --tun.",
    });
  }
  const user = await userOf(options.user, around);
  if (!tun.mayMakeDevices) {
    const words = ["sudo", around.node, around.launcher, "setup-tun", ...options.words, "--user", user.name];
    const command = words.map(shellWord).join(" ");
    output.event("setup-tun", { command });
    const once = "An administrator runs this once; it lasts until the machine is started again:";
    output.line(options.remove ? "An administrator runs this:" : once);
    output.line();
    output.line(`  ${command}`);
    return;
  }
  const libc = loadLibc(tun.libc);
  if (options.remove) return remove(libc, tun.devices.filter(({ owner }) => owner === user.uid), user, output);
  const { device, ips, v6, release } = await makeDevice(libc, { wanted: options.ip, remembered: undefined });
  keepLinuxDevice(libc, device, user.uid);
  device.close();
  release();
  const [ip, own] = [formatAddressBytes(ips.share4), formatAddressBytes(ips.own4)];
  const ip6 = v6 ? formatAddressBytes(ips.share6) : null;
  output.event("setup-tun", { device: device.name, user: user.name, ip, ip6, own });
  output.line(`${user.name} can connect to one share at a time at ${ip} now, by the device ${device.name}.`);
  output.note(`Run it again for a second share at once. To undo it: setup-tun --user ${user.name} --remove`);
}

interface User {
  readonly name: string;
  readonly uid: number;
}

function remove(
  libc: Libc,
  devices: readonly { readonly name: string }[],
  user: User,
  output: CommandContext["output"],
): void {
  let failure: unknown;
  for (const { name } of devices) {
    try {
      const device = openLinuxDevice(libc, name);
      keepLinuxDevice(libc, device, undefined);
      device.close();
      output.event("setup-tun", { removed: name, user: user.name });
      output.line(`The device ${name} is gone.`);
    } catch (error) {
      // One that is in use: the others can go all the same.
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  if (devices.length === 0) output.line(`There is no device for ${user.name}.`);
}

/** For whom: the one that is named, who called sudo, or whoever runs this. */
async function userOf(name: string | undefined, { user, sudoUser, programs }: Surroundings): Promise<User> {
  if (name === undefined) return sudoUser ?? user;
  const id = programs["id"];
  const uid = id === undefined ? NaN : await new Promise<number>((resolve) => {
    execFile(id, ["-u", "--", name], { env: {} }, (error, text) => resolve(error === null ? Number(text) : NaN));
  });
  if (!Number.isInteger(uid)) {
    throw new UsageError(`There is no user "${name}" on this machine.`, "Give the name of an account to --user.");
  }
  return { name, uid };
}
