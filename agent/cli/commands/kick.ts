import type { Command } from "commander";
import { describeCommand, type Runner } from "../command.ts";
import type { GlobalOptions } from "../options.ts";
import { shareCode } from "../parse_connect.ts";

/** `spanway kick NAME [SESSION]` */
export function kickCommand(run: Runner): Command {
  const command = describeCommand("kick", "end a login to a share that runs on this machine, or list its logins", [
    ["kick frosty-weasel-0857", "who is logged in"],
    ["kick frosty-weasel-0857 1c4", "end this login"],
  ])
    .argument("<share>", "its name")
    .argument("[session]", "the name of the login, as the share and the list show it");
  return command.action((share: string, session: string | undefined) =>
    run(async (context) => {
      const { relay } = command.optsWithGlobals<GlobalOptions>();
      const { runKick } = await import("../../owner/run_kick.ts");
      await runKick({ relay, name: shareCode(share, relay).name, session }, context);
    })
  );
}
