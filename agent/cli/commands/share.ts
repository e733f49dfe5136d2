import type { Command } from "commander";
import { addShareOptions, describeCommand, type RawShare, type Runner, shareOptions } from "../command.ts";
import type { GlobalOptions } from "../options.ts";

/** `spanway share [TARGET]` */
export function shareCommand(run: Runner): Command {
  const command = describeCommand("share", "share a local web server or a folder until Ctrl-C or expiry", [
    ["share 3000", "the server on port 3000"],
    ["share https://localhost:8443 --insecure-target", "one with a certificate of its own making"],
    ["share ./dist --name my-demo --expires 2h", "the files of a folder, under a chosen name"],
    ["share --ssh --ports none", "a login for a colleague, and nothing else"],
    ["share --disable-http --ports 22,5432", "no web page, but two ports for those who connect"],
  ]).argument("[target]", "port, host:port, http(s) URL or folder; without it the usual ports are tried");
  return addShareOptions(command).action((target: string | undefined) =>
    run(async (context) => {
      const { runShare } = await import("../../share/run_share.ts");
      await runShare(shareOptions(command.optsWithGlobals<GlobalOptions & RawShare>(), target), context);
    })
  );
}
