/** The person's shell, with a prompt that says where it is. */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import process from "node:process";

export interface ShellPlan {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** How each shell is started. The files that it needs are made in `dir`, a private directory. */
export async function shellPlan(
  name: string,
  dir: string,
  shell: string = process.env.SHELL || "/bin/sh",
): Promise<ShellPlan> {
  const mark = `(${name}) `;
  switch (basename(shell)) {
    case "bash": {
      const file = join(dir, "bashrc");
      await writeFile(file, `[ -r ~/.bashrc ] && . ~/.bashrc\nPS1='${mark}'"$PS1"\n`);
      return { command: [shell, "--rcfile", file, "-i"], env: {} };
    }
    case "zsh": {
      // Where zsh looks for its files; each of ours reads the person's.
      const files = join(dir, "zsh");
      await mkdir(files);
      for (const file of [".zshenv", ".zprofile", ".zshrc", ".zlogin"]) {
        const after = file === ".zshrc" ? `PROMPT='${mark}'"$PROMPT"\n` : "";
        await writeFile(join(files, file), `[ -r ~/${file} ] && . ~/${file}\n${after}`);
      }
      return { command: [shell, "-i"], env: { ZDOTDIR: files } };
    }
    case "fish": {
      const prompt = "functions --copy fish_prompt spanway_prompt; " +
        `function fish_prompt; echo -n '${mark}'; spanway_prompt; end`;
      return { command: [shell, "--init-command", prompt, "-i"], env: {} };
    }
    default:
      return { command: [shell, "-i"], env: { PS1: `${mark}$ ` } };
  }
}
