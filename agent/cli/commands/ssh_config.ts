import type { Command } from "commander";
import { LINK_RESUME_WINDOW_MS } from "../../../shared/limits.ts";
import { describeCommand, type Runner } from "../command.ts";
import type { GlobalOptions } from "../options.ts";
import { shareCode } from "../parse_connect.ts";

/** `spanway ssh-config SHARE` */
export function sshConfigCommand(run: Runner): Command {
  const command = describeCommand("ssh-config", "print a Host block for ssh, scp, rsync, sftp and editors", [
    [
      "ssh-config frosty-weasel-0857 > share.conf",
      "then: ssh -F share.conf frosty-weasel-0857, and so for scp, sftp, rsync",
    ],
    [
      "ssh-config frosty-weasel-0857 > ~/.ssh/spanway.conf",
      "for all programs, with Include ~/.ssh/spanway.conf as the first line of ~/.ssh/config",
    ],
  ]).argument("<share>", "NAME, NAME#FINGERPRINT (as its owner sees it), or its URL");
  return command
    .option("--forget", "accept that the share has another identity than before, and remember the new one", false)
    .action((share: string) =>
      run(async (context) => {
        const { forget, ...globals } = command.optsWithGlobals<GlobalOptions & { forget: boolean }>();
        const { printSshConfig } = await import("../../ssh/login/print_ssh_config.ts");
        const code = shareCode(share, globals.relay);
        await printSshConfig({ ...globals, share: code, forget, resumeWindow: LINK_RESUME_WINDOW_MS }, context);
      })
    );
}
