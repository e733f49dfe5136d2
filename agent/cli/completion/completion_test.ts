import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VALUE_OPTIONS } from "../../bin/argv.js";
import { buildProgram } from "../program.ts";
import { completionScript, type Shell } from "./shells.ts";
import { completionTree } from "./tree.ts";

const program = () => buildProgram(() => Promise.resolve());

/** Runs `script` in a shell, with the completion script at `$1`. Undefined where there is no such shell. */
async function inShell(shell: Shell, script: string): Promise<string | undefined> {
  if (spawnSync(shell, ["-c", "exit 0"]).status !== 0) {
    console.log(`skipped: ${shell} is not installed here`);
    return undefined;
  }
  const dir = await mkdtemp(join(tmpdir(), "spanway-completion-"));
  try {
    const file = join(dir, "completion");
    await writeFile(file, completionScript(shell, program()));
    await mkdir(join(dir, "a folder"));
    await writeFile(join(dir, "cert.pem"), "");
    const args = shell === "fish" ? ["--no-config", "-c", script, file] : ["-c", script, shell, file];
    const { stdout, stderr, status } = spawnSync(shell, args, { cwd: dir, encoding: "utf8", timeout: 20_000 });
    assert.equal(status, 0, stderr);
    return stdout;
  } finally {
    await rm(dir, { recursive: true });
  }
}

Deno.test("the launcher knows the same options with values as the command line", () => {
  const tree = completionTree(program());
  const valued = [tree, ...tree.commands].flatMap(({ options }) => options)
    .filter(({ value }) => value !== undefined).flatMap(({ flags }) => flags);
  assert.deepEqual([...new Set(valued)].sort(), [...VALUE_OPTIONS].sort());
});

Deno.test("bash completes commands, options, their values, files and folders", async () => {
  const script = `
    source "$1"
    try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _spanway; printf '%s|' "\${COMPREPLY[@]}"; echo; }
    try spanway sh
    try spanway --relay http://x share --ins
    try spanway share --host-header ""
    try spanway completion ""
    try spanway relay --tls-cert c
    try spanway share ""
    try spanway connect ""
    try spanway connect -L 1:1 my-demo --soc
    try spanway share --expires ""`;
  const output = await inShell("bash", script);
  if (output === undefined) return;
  assert.deepEqual(output.trimEnd().split("\n"), [
    "share|",
    "--insecure-target|",
    "rewrite|keep|",
    "bash|zsh|fish|",
    "completion|cert.pem|",
    "a folder|",
    "|",
    "--socks|--socks-auth|--socks-auth-file|",
    "|",
  ]);
});

Deno.test("fish completes commands, options and values", async () => {
  const script = `
    source $argv[1]
    for words in "spanway sh" "spanway share --ins" "spanway completion " "spanway share --host-header "
      complete -C $words | string split -f1 \\t | string join "|"
    end`;
  const output = await inShell("fish", script);
  if (output === undefined) return;
  assert.deepEqual(output.trimEnd().split("\n"), ["share", "--insecure-target", "bash|fish|zsh", "keep|rewrite"]);
});

Deno.test("zsh completes commands, options and values", async () => {
  // A real interactive shell on a pseudo-terminal: Tab, then Enter, and the command says what it was given.
  const script = `
    zmodload zsh/zpty
    export SPANWAY_COMPLETION=$1
    zpty shell 'PS1= zsh -f -i'
    zpty -w shell 'unsetopt zle_bracketed_paste; autoload -Uz compinit && compinit -u -D; source $SPANWAY_COMPLETION'
    zpty -w shell 'spanway() { print "got"": <$*>" }; print REA""DY'
    zpty -r -m shell out '*READY*' || exit 1
    for words in 'spanway comp' 'spanway share --ins' 'spanway completion f' 'spanway share --host-header=ke'; do
      zpty -w shell $words$'\\t'
      zpty -r -m shell out '*got: <*>*' && print -r -- \${\${out##*got: <}%%>*}
    done
    zpty -d shell`;
  const output = await inShell("zsh", script);
  if (output === undefined) return;
  assert.deepEqual(output.trimEnd().split("\n").map((line) => line.trimEnd()), [
    "completion",
    "share --insecure-target",
    "completion fish",
    "share --host-header=keep",
  ]);
});
