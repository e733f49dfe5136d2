import { type Command, Option } from "commander";
import { describeCommand, type Runner } from "../command.ts";
import type { GlobalOptions } from "../options.ts";
import { staticIp } from "../parse_connect.ts";

/** `spanway setup-tun` */
export function setupTunCommand(run: Runner): Command {
  const command = describeCommand("setup-tun", "let somebody without rights have an IP address for a share (Linux)", [
    ["setup-tun", "what an administrator has to run, once"],
    ["setup-tun --user me", "as root: a device for this account"],
    ["setup-tun --user me --remove", "as root: take it away"],
  ]);
  return command
    .addOption(new Option("--user <name>", "the account that may use it (default: who calls sudo, or you)"))
    .addOption(
      new Option("--ip <address>", "the address of the share, IPv4 (default: 172.16.0.2, or the next free one)")
        .argParser(staticIp),
    )
    .option("--remove", "take the devices of the account away", false)
    .action(() =>
      run(async (context) => {
        const { json, quiet, relay, user, ip, remove } = command.optsWithGlobals<RawSetup>();
        const words = [...(ip === undefined ? [] : ["--ip", ip]), ...(remove ? ["--remove"] : [])];
        const { runSetupTun } = await import("../../tun/setup/run_setup_tun.ts");
        await runSetupTun({ json, quiet, relay, user, ip, remove, words }, context);
      })
    );
}

interface RawSetup extends GlobalOptions {
  readonly user?: string;
  readonly ip?: string;
  readonly remove: boolean;
}
