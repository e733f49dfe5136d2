import type { Command } from "commander";
import { describeCommand, type Runner } from "../command.ts";

/** `spanway whoami` */
export function whoamiCommand(run: Runner): Command {
  return describeCommand("whoami", "show this device's identity; its key is made on first use", [
    ["whoami", "fingerprint and key file"],
    ["whoami --json", "the same for programs"],
  ]).action(() =>
    run(async ({ output, home }) => {
      const { fingerprint } = await home.identity();
      output.event("identity", { fingerprint, keyFile: home.keyFile });
      output.pairs([["Fingerprint", fingerprint, output.colors.bold], ["Key file", home.keyFile]]);
    })
  );
}
