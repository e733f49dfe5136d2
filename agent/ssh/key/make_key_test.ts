import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { SSH_KEY_ROUNDS, SSH_PASSWORD_MAX_CHARS } from "../../../shared/limits.ts";
import { testUnless, whyNoProgram } from "../../../tests/support/needs.ts";
import { UsageError } from "../../errors.ts";
import { makeLoginKey } from "./make_key.ts";
import { inspectLoginKey, openLoginKey } from "./open_key.ts";

const PASSWORD = "otter lamp window";
const why = whyNoProgram("ssh-keygen");

class Dir implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "spanway-key-"));

  file(name: string, text: string, mode = 0o600): string {
    const path = join(this.path, name);
    writeFileSync(path, text, { mode });
    return path;
  }

  /** A private directory for the maker. */
  make(): string {
    const path = join(this.path, "private");
    mkdirSync(path, { mode: 0o700 });
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

function sshKeygen(): string {
  return execFileSync("sh", ["-c", "command -v ssh-keygen"], { encoding: "utf8" }).trim();
}

/** What the real ssh-keygen finds in a private key. */
async function openedBySshKeygen(dir: Dir, privateKey: string, password: string): Promise<string> {
  const file = dir.file("opened", privateKey);
  const { stdout } = await promisify(execFile)(sshKeygen(), ["-y", "-P", password, "-f", file]);
  return stdout.trim();
}

/** A program that leaves a mark in `marks` and then does `what`. */
function marked(dir: Dir, marks: string, what: string): string {
  return dir.file("ssh-keygen", `#!/bin/sh\necho called >> '${marks}'\n${what}\n`, 0o700);
}

for (const [maker, program] of [["ssh-keygen", sshKeygen], ["the library", () => undefined]] as const) {
  testUnless(why, `${maker} makes a key that OpenSSH opens with its password only`, async () => {
    using dir = new Dir();
    const own = dir.make();
    const { privateKey, publicKey } = await makeLoginKey({
      password: PASSWORD,
      comment: "spanway test",
      sshKeygen: program(),
      dir: own,
    });
    assert.match(publicKey, /^ssh-ed25519 [A-Za-z0-9+/]+=*$/);
    assert.equal(await openedBySshKeygen(dir, privateKey, PASSWORD), `${publicKey} spanway test`);
    await assert.rejects(openedBySshKeygen(dir, privateKey, `${PASSWORD}x`));
    await assert.rejects(openedBySshKeygen(dir, privateKey, ""));
    assert.throws(() => openLoginKey(privateKey, "another"), { code: "ssh-password" });
    assert.deepEqual(inspectLoginKey(privateKey), {
      rounds: SSH_KEY_ROUNDS,
      cipher: "aes256-ctr",
      encrypted: true,
      publicKey,
    });
    // As its bytes say, whatever our own reader makes of them.
    const bytes = Buffer.from(privateKey.split("\n").slice(1, -2).join(""), "base64").toString("latin1");
    const rounds = String.fromCharCode(0, 0, 0, SSH_KEY_ROUNDS, 0, 0, 0, 1, 0, 0, 0, 51);
    assert.ok(bytes.startsWith("openssh-key-v1\0\0\0\0\x0aaes256-ctr\0\0\0\x06bcrypt\0\0\0\x18\0\0\0\x10"));
    assert.equal(bytes.indexOf(rounds), 15 + 14 + 10 + 4 + 4 + 16);
    assert.deepEqual(readdirSync(own), []);
  });
}

testUnless(why, "ssh-keygen gets passwords as they are: blanks, quotes, backslashes, other alphabets", async () => {
  using dir = new Dir();
  const own = dir.make();
  // It would hand over to the library in silence, so it must have been the one to finish.
  const marks = join(dir.path, "marks");
  const program = marked(dir, marks, `'${sshKeygen()}' "$@" && echo done >> '${marks}'`);
  const passwords = [
    "  blanks around and  in it ",
    `q'uo"te$\`x\`$(id)`,
    "back\\slash\\n\\",
    "üñí→😀 снег",
    "-n -e %s %d\\c",
    "😀".repeat(SSH_PASSWORD_MAX_CHARS / 2),
  ];
  for (const password of passwords) {
    const { privateKey, publicKey } = await makeLoginKey({ password, comment: "", sshKeygen: program, dir: own });
    assert.equal(await openedBySshKeygen(dir, privateKey, password), publicKey);
  }
  assert.equal(readFileSync(marks, "utf8"), "called\ndone\n".repeat(passwords.length));
});

Deno.test("a password that is not one line of text is refused before anything is started", async () => {
  using dir = new Dir();
  const marks = join(dir.path, "marks");
  const program = marked(dir, marks, "exit 1");
  const own = dir.make();
  for (
    const password of ["", "two\nlines", "two\rlines", "nul\0", "esc\x1b[A", "a".repeat(SSH_PASSWORD_MAX_CHARS + 1)]
  ) {
    await assert.rejects(makeLoginKey({ password, comment: "", sshKeygen: program, dir: own }), UsageError);
  }
  assert.deepEqual(readdirSync(dir.path).sort(), ["private", "ssh-keygen"]);
});

testUnless(
  why,
  "the library steps in for a program that fails, makes no key, a bare one, or a weaker one",
  async () => {
    using dir = new Dir();
    const own = dir.make();
    const marks = join(dir.path, "marks");
    // The last word is the file.
    const file = `for file; do :; done`;
    const programs = [
      "exit 1",
      "exit 0",
      `${file}; echo rubbish > "$file"; echo rubbish > "$file.pub"`,
      `${file}; '${sshKeygen()}' -q -t ed25519 -N '' -f "$file"`,
      `${file}; '${sshKeygen()}' -q -t ed25519 -a 16 -N '${PASSWORD}' -f "$file"`,
      `${file}; '${sshKeygen()}' -q -t ed25519 -a ${SSH_KEY_ROUNDS} -N 'another password' -f "$file"`,
    ];
    for (const what of programs) {
      const program = marked(dir, marks, what);
      const { privateKey, publicKey } = await makeLoginKey({
        password: PASSWORD,
        comment: "c",
        sshKeygen: program,
        dir: own,
      });
      assert.equal(inspectLoginKey(privateKey).rounds, SSH_KEY_ROUNDS, what);
      assert.equal(await openedBySshKeygen(dir, privateKey, PASSWORD), `${publicKey} c`, what);
      assert.deepEqual(readdirSync(own), [], what);
    }
    const nowhere = join(dir.path, "nowhere");
    await makeLoginKey({ password: PASSWORD, comment: "c", sshKeygen: nowhere, dir: own });
    assert.deepEqual(readdirSync(own), []);
    assert.equal(readFileSync(marks, "utf8"), "called\n".repeat(programs.length));
  },
);

const whyNoProc = process.platform === "linux" ? why : "it looks into /proc";

testUnless(
  whyNoProc,
  "no process has the password in its arguments or its environment, and no file has it",
  async () => {
    using dir = new Dir();
    const own = dir.make();
    const password = "otter-lamp-8841-window";
    const seen = join(dir.path, "seen");
    const needle = dir.file("needle", password.slice(0, -1));
    // Before, while and after ssh-keygen runs: everything that is there, and every file of the private directory. The pattern
    // comes from a file, so that the search does not find itself.
    const look = `grep -l -a -F -f '${needle}' /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null >> '${seen}'
    grep -r -l -F -f '${needle}' '${own}' >> '${seen}'
    echo looked >> '${seen}'`;
    const program = dir.file(
      "ssh-keygen",
      `#!/bin/sh
${look}
( while [ -e '${own}'/make-key-* ] 2>/dev/null && [ ! -e '${dir.path}/over' ]; do ${look}; done ) <&- &
'${sshKeygen()}' "$@"
code=$?
touch '${dir.path}/over'
wait
${look}
exit $code
`,
      0o700,
    );
    const { privateKey, publicKey } = await makeLoginKey({ password, comment: "c", sshKeygen: program, dir: own });
    assert.equal(await openedBySshKeygen(dir, privateKey, password), `${publicKey} c`);
    const lines = readFileSync(seen, "utf8").trim().split("\n");
    assert.deepEqual(lines.filter((line) => line !== "looked"), []);
    assert.ok(lines.length >= 3, `looked ${lines.length} times`);

    // The search does find it where it is.
    execFileSync("sh", ["-c", look], { env: { ...process.env, LEAK: password } });
    assert.match(readFileSync(seen, "utf8"), /environ/);
  },
);
