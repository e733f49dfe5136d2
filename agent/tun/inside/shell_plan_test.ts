import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { testUnless, whyNoProgram } from "../../../tests/support/needs.ts";
import { shellPlan } from "./shell_plan.ts";

/** The person's own settings, by shell. */
const OWN: Readonly<Record<string, readonly [file: string, text: string]>> = {
  bash: [".bashrc", "echo own-settings\nPS1='mine> '\n"],
  zsh: [".zshrc", "echo own-settings\nPROMPT='mine> '\n"],
  fish: [".config/fish/config.fish", "echo own-settings\nfunction fish_prompt; echo -n 'mine> '; end\n"],
  sh: [".profile", ""],
};

for (const [shell, [file, text]] of Object.entries(OWN)) {
  testUnless(
    whyNoProgram(shell, "script"),
    `${shell}: the prompt says which share, and the person's settings hold`,
    async () => {
      const home = mkdtempSync(join(tmpdir(), "spanway-shell-"));
      try {
        spawnSync("mkdir", ["-p", join(home, ".config", "fish")]);
        writeFileSync(join(home, file), text);
        const { command, env } = await shellPlan("my-demo", home, `/usr/bin/${shell}`);
        const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
        const { stdout } = spawnSync("script", ["-qec", words, "/dev/null"], {
          input: "exit 3\n",
          env: { PATH: process.env.PATH, HOME: home, TERM: "xterm", SHELL: "/bin/sh", ...env },
          encoding: "utf8",
          timeout: 20_000,
        });
        // Terminals get colours and movements in between.
        // deno-lint-ignore no-control-regex -- those are what is taken out
        const shown = stdout.replace(/\x1b[^a-zA-Z]*[a-zA-Z]/g, "");
        assert.ok(shown.includes("(my-demo) "), shown);
        if (text !== "") assert.match(shown, /own-settings[^]*\(my-demo\) mine> /);
      } finally {
        rmSync(home, { recursive: true, force: true });
      }
    },
  );
}
