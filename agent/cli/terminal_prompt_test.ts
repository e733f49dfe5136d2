import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { SSH_PASSWORD_MAX_CHARS } from "../../shared/limits.ts";
import { testUnless } from "../../tests/support/needs.ts";
import { TestTerminal } from "../../tests/support/terminal.ts";
import { permissionFlags } from "../bin/permissions.js";
import { findDeno, packageRoot } from "../bin/runtime.js";
import { HiddenLine } from "./terminal_prompt.ts";

const why = process.platform === "win32" ? "it needs a terminal of Unix" : undefined;
const path = (name: string) => fileURLToPath(new URL(`../ssh/key/testing/${name}`, import.meta.url));
const LAUNCH = ["node", path("launch.js")];
const PROGRAM = path("prompt_program.ts");

/** The agent's own fence around `connect --ssh`. */
const FENCE = permissionFlags(["connect", "--ssh", "name"], {
  home: join(tmpdir(), "spanway-no-home"),
  root: packageRoot,
  cwd: packageRoot,
  tmp: tmpdir(),
  servicePrograms: [],
  socketLister: undefined,
  programs: ["/bin/sh"],
  libc: undefined,
  runDir: undefined,
});
const IN_DENO = [
  ...LAUNCH,
  findDeno()!,
  "run",
  "--quiet",
  "--no-config",
  "--no-lock",
  "--no-remote",
  ...FENCE,
  PROGRAM,
];
const IN_NODE = ["node", "--import", "tsx", PROGRAM];
const RUNTIMES = {
  "Deno behind its fence": IN_DENO,
  "Node with a terminal handed over": [...LAUNCH, ...IN_NODE],
  Node: IN_NODE,
};

interface Words {
  readonly times?: number;
  /** "exit" ends the process within the question. */
  readonly abortAfterMs?: number | "exit";
  /** For sh, on the same terminal, once the questions are over. */
  readonly next?: string;
  /** Which standard stream that one gets. */
  readonly fd?: number;
  /** Of the shell. */
  readonly redirect?: string;
}

/** The program in a terminal, between two looks at the settings of the terminal. */
function start(runtime: readonly string[], words: Words = {}): TestTerminal {
  const { times = 1, abortAfterMs = "", next = "", fd = 0, redirect = "" } = words;
  const args = [...runtime, String(times), String(abortAfterMs), next, String(fd)];
  const script = `echo "before $(stty -g)"; "$@" ${redirect}; echo "code $?"; echo "after $(stty -g </dev/tty)"`;
  return new TestTerminal("/bin/sh", ["-c", script, "sh", ...args]);
}

/** Waits for the end. @returns what was shown between the looks at the terminal, which were the same */
async function rest(terminal: TestTerminal): Promise<string> {
  await terminal.exited;
  const found = /^before (\S+)\r\n([^]*)after (\S+)\r\n$/.exec(terminal.shown);
  assert.ok(found, JSON.stringify(terminal.shown));
  assert.equal(found[3], found[1], "the terminal was left as it was not before");
  return found[2]!;
}

for (const [name, runtime] of Object.entries(RUNTIMES)) {
  const test = (does: string, fn: () => Promise<void>) => testUnless(why, `${name}: ${does}`, fn);

  test("what is typed is not shown, and keys that edit do so", async () => {
    await using terminal = start(runtime, { times: 4 });
    await terminal.until(/Question 1: $/);
    terminal.type("otter lamp\r");
    await terminal.until(/Question 2: $/);
    terminal.type("wrong\x15 gr\u00fcnx\x7fer \u{1f600}\u{1f600}\x7f ");
    terminal.type("\x1b[D\x1bOA\t\x01\r");
    await terminal.until(/Question 3: $/);
    terminal.type("\x1b[200~pasted text\x1b[201~\r");
    await terminal.until(/Question 4: $/);
    terminal.type("\r");
    const answers = ["otter lamp", " gr\u00fcner \u{1f600} ", "pasted text", ""];
    const lines = answers.map((answer, at) =>
      `Question ${at + 1}: \r\nAnswer ${at + 1}: <${JSON.stringify(answer)}>\r\n`
    );
    assert.equal(await rest(terminal), `${lines.join("")}code 0\r\n`);
  });

  test("Ctrl-C and Ctrl-D end a question and nothing else", async () => {
    await using terminal = start(runtime, { times: 3 });
    await terminal.until(/Question 1: $/);
    terminal.type("half\x03");
    await terminal.until(/Answer 1: <none>/);
    await terminal.until(/Question 2: $/);
    terminal.type("half\x04 whole\r");
    await terminal.until(/Answer 2: <"half whole">/);
    await terminal.until(/Question 3: $/);
    terminal.type("\x04");
    await terminal.until(/Answer 3: <none>/);
    assert.match(await rest(terminal), /code 0\r\n$/);
  });

  test("what is typed ahead answers the next question", async () => {
    await using terminal = start(runtime, { times: 2 });
    await terminal.until(/Question 1: $/);
    terminal.type("one\rtwo\r");
    await terminal.until(/Answer 1: <"one">/);
    await terminal.until(/Answer 2: <"two">/);
    await rest(terminal);
  });

  for (const abortAfterMs of [undefined, 300]) {
    const after = abortAfterMs === undefined ? "an answer" : "an abort";
    test(`after ${after} the next program gets every key`, async () => {
      const next = `echo "now $(stty -g)."; read x; echo "got:<$x>"; read y; echo "and:<$y>"`;
      await using terminal = start(runtime, { next, ...(abortAfterMs === undefined ? {} : { abortAfterMs }) });
      await terminal.until(/Question 1: $/);
      terminal.type(abortAfterMs === undefined ? "answer\r" : "ans");
      await terminal.until(/Answer 1: <[^>]*>\r\n/);
      terminal.type("first line\r");
      await terminal.until(/got:<first line>/);
      terminal.type("second\r");
      await terminal.until(/and:<second>/);
      // Already then, not only once the process has ended: runtimes see to that by themselves.
      const [, now] = /now (\S+)\.\r\n/.exec(await rest(terminal)) ?? [];
      assert.ok(terminal.shown.startsWith(`before ${now}\r\n`), terminal.shown);
    });
  }

  test("a process that ends within a question leaves the terminal as it was", async () => {
    await using terminal = start(runtime, { abortAfterMs: "exit" });
    await terminal.until(/Question 1: $/);
    assert.match(await rest(terminal), /code 3\r\n$/);
  });

  test("it asks on the terminal when only standard error is one", async () => {
    const next = `read x; echo "got:<$x>"`;
    await using terminal = start(runtime, { next, fd: 2, redirect: "</dev/null >/dev/null" });
    await terminal.until(/Question 1: $/);
    terminal.type("hidden\r");
    await terminal.until(/Answer 1: <"hidden">/);
    terminal.type("first line\r");
    await terminal.until(/got:<first line>/);
    await rest(terminal);
  });

  test("there is no terminal where there is none", async () => {
    const [program = "", ...words] = runtime;
    const child = spawn(program, [...words, "1"], { stdio: ["ignore", "ignore", "ignore"], detached: true });
    assert.deepEqual(await once(child, "exit"), [7, null]);
  });
}

for (const [name, runtime] of Object.entries(RUNTIMES).slice(1)) {
  testUnless(why, `${name}: it asks on the terminal when no standard stream is one`, async () => {
    await using terminal = start(runtime, { redirect: "</dev/null >/dev/null 2>/dev/null" });
    await terminal.until(/Question 1: $/);
    terminal.type("hidden\r");
    await terminal.until(/Answer 1: <"hidden">/);
    await rest(terminal);
  });
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("a line is the same however its bytes arrive", () => {
  const typed = bytes("w\u00fcrong\x15\x1b[200~gr\u00fcn \u{1f600}\x1b[201~\x1b[1;5C\x1bOP\x1bx\x7f\u{1f98a}\x00\r");
  for (let size = 1; size <= typed.length; size++) {
    const line = new HiddenLine();
    for (let at = 0; at < typed.length; at += size) line.push(typed.subarray(at, at + size));
    assert.equal(line.text, "gr\u00fcn \u{1f98a}", `${size} at a time`);
    assert.equal(line.state, "entered");
  }
});

Deno.test("a line takes no more than what belongs to it", () => {
  const line = new HiddenLine();
  assert.equal(line.push(bytes("on")), 2);
  assert.equal(line.state, "open");
  assert.equal(line.push(bytes("e\rtwo\r")), 2);
  assert.equal(line.text, "one");
});

Deno.test("a line that is too long stays recognisable as such, and bounded", () => {
  const line = new HiddenLine();
  for (let i = 0; i < 1000; i++) line.push(bytes("0123456789\u{1f600}"));
  assert.ok(line.text.length > SSH_PASSWORD_MAX_CHARS && line.text.length <= SSH_PASSWORD_MAX_CHARS + 2);
});
