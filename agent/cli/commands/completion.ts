import { Argument, type Command } from "commander";
import { describeCommand, type Runner } from "../command.ts";
import type { Shell } from "../completion/shells.ts";

/** `spanway completion <shell>` */
export function completionCommand(run: Runner): Command {
  const command = describeCommand("completion", "print the completion script of a shell", [
    ["completion bash > ~/.local/share/bash-completion/completions/spanway", "bash"],
    ["completion zsh > ~/.zfunc/_spanway", "zsh, with ~/.zfunc in fpath"],
    ["completion fish > ~/.config/fish/completions/spanway.fish", "fish"],
  ]).addArgument(new Argument("<shell>", "which shell").choices(["bash", "zsh", "fish"]));
  return command.action((shell: Shell) =>
    run(async ({ output }) => {
      const { completionScript } = await import("../completion/shells.ts");
      const script = completionScript(shell, command.parent ?? command);
      if (output.json) output.event("completion", { shell, script });
      else output.data(script);
    })
  );
}
