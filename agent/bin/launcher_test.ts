import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/**
 * The real launcher, with the real handling of interrupts, in front of a small agent that says what happens to it. Its
 * first argument decides what it does when it is told to stop.
 */
const AGENT = `
import fs from "node:fs";
import process from "node:process";
import { listenForInterrupts } from ${JSON.stringify(new URL("../cli/interrupts.ts", import.meta.url).href)};
const say = (text: string) => fs.writeSync(1, text + "\\n");
const mode = process.argv[2];
const interrupts = listenForInterrupts(() => {
  say("at once");
  process.exit(130);
});
interrupts.signal.addEventListener("abort", () => {
  say("stopping for " + interrupts.cause);
  if (mode === "clean") setTimeout(() => process.exit(interrupts.cause === "SIGINT" ? 130 : 0), 50);
  if (mode === "deaf") for (;;);
});
if (mode === "look") {
  const attempt = (what: () => unknown) => {
    try {
      return what();
    } catch (error) {
      return (error as Error).name;
    }
  };
  say(JSON.stringify({
    argv: process.argv.slice(2),
    secret: attempt(() => String(process.env.AWS_SECRET_ACCESS_KEY)),
    home: process.env.SPANWAY_HOME,
    passwd: attempt(() => fs.readFileSync("/etc/passwd", "utf8").length),
    write: attempt(() => fs.writeFileSync("/tmp/spanway-fence", "")),
    run: attempt(() => new Deno.Command("true").outputSync().code),
    net: attempt(() => Deno.listen({ port: 0 }).close()),
    shared: attempt(() => fs.readFileSync(process.argv[4] + "/file", "utf8")),
  }));
  process.exit(0);
}
if (mode === "exit") process.exit(Number(process.argv[3]));
setInterval(() => {}, 1000);
say("ready");
`;

const root = fileURLToPath(new URL("../..", import.meta.url));
const unix = process.platform !== "win32";

async function withAgent(work: (launcher: string, dir: string) => Promise<void> | void): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "spanway-launcher-"));
  try {
    await mkdir(join(dir, "agent"));
    await cp(join(root, "agent", "bin"), join(dir, "agent", "bin"), { recursive: true });
    await symlink(join(root, "node_modules"), join(dir, "node_modules"), "junction");
    await writeFile(join(dir, "package.json"), '{"type":"module"}');
    await writeFile(join(dir, "agent", "main.ts"), AGENT);
    await work(join(dir, "agent", "bin", "spanway.js"), dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** A launched process whose output is collected, and can be waited for. */
class Launched {
  readonly child: ChildProcess;
  /** Resolves once no process holds the output any more: neither the launcher nor the agent. */
  readonly silent: Promise<unknown>;
  output = "";

  constructor(command: string, args: readonly string[], options: { group?: boolean } = {}) {
    this.child = spawn(command, args, {
      stdio: ["pipe", "pipe", "inherit"],
      detached: options.group ?? false,
      env: { ...process.env, SPANWAY_HOME: join(tmpdir(), "spanway-none") },
    });
    this.child.stdout?.on("data", (chunk) => this.output += chunk);
    this.silent = once(this.child, "close");
  }

  async until(text: string): Promise<void> {
    while (!this.output.includes(text)) await once(this.child.stdout!, "data");
  }

  async code(): Promise<number | null> {
    await this.silent;
    return this.child.exitCode;
  }
}

const launch = (launcher: string, mode: string, options: { group?: boolean } = {}) =>
  new Launched("node", [launcher, mode], options);

Deno.test("a signal for the launcher alone reaches the agent once", () =>
  withAgent(async (launcher) => {
    for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 0], ["SIGHUP", 0]] as const) {
      const run = launch(launcher, "clean");
      await run.until("ready");
      process.kill(run.child.pid!, signal);
      assert.equal(await run.code(), code);
      assert.equal(run.output, `ready\nstopping for ${signal}\n`);
    }
  }));

Deno.test({
  name: "Ctrl-C that reaches both asks once for a clean end, the second time ends at once",
  ignore: !unix,
  fn: () =>
    withAgent(async (launcher) => {
      const run = launch(launcher, "hang", { group: true });
      await run.until("ready");
      process.kill(-run.child.pid!, "SIGINT");
      await run.until("stopping");
      process.kill(-run.child.pid!, "SIGINT");
      assert.equal(await run.code(), 130);
      assert.equal(run.output, "ready\nstopping for SIGINT\nat once\n");
    }),
});

Deno.test({
  name: "Ctrl-C in a terminal exits with 130",
  ignore: !unix || spawnSync("script", ["--version"]).status !== 0,
  fn: () =>
    withAgent(async (launcher) => {
      const run = new Launched("script", ["-qec", `node ${launcher} clean`, "/dev/null"]);
      await run.until("ready");
      run.child.stdin?.write("\x03");
      assert.equal(await run.code(), 130);
      assert.equal(run.output.split("stopping for SIGINT").length, 2);
      assert.doesNotMatch(run.output, /at once/);
    }),
});

Deno.test({
  name: "kill -9 of the launcher ends the agent",
  ignore: !unix,
  fn: () =>
    withAgent(async (launcher) => {
      const run = launch(launcher, "clean");
      await run.until("ready");
      process.kill(run.child.pid!, "SIGKILL");
      await run.silent;
      assert.match(run.output, /stopping for launcher/);
    }),
});

Deno.test({
  name: "an agent that no longer reacts is killed after the second Ctrl-C",
  ignore: !unix,
  fn: () =>
    withAgent(async (launcher) => {
      const run = launch(launcher, "deaf");
      await run.until("ready");
      process.kill(run.child.pid!, "SIGINT");
      await run.until("stopping");
      process.kill(run.child.pid!, "SIGINT");
      assert.equal(await run.code(), 128 + 9);
    }),
});

Deno.test("the exit code of the agent is the exit code of the launcher", () =>
  withAgent((launcher) => {
    for (const code of [0, 1, 3, 4]) {
      assert.equal(spawnSync("node", [launcher, "exit", String(code)]).status, code);
    }
  }));

Deno.test("the agent gets the words as they are, and sees no more than it needs", () =>
  withAgent(async (launcher, dir) => {
    const shared = join(dir, "a, b");
    await mkdir(shared);
    await writeFile(join(shared, "file"), "content");
    // "look" is no command: what is granted to none is seen here. "share" comes later, as an argument of it.
    const words = ["look", "grüße 'x' \"y\" $HOME", shared, "--", "--json", ""];
    const home = join(dir, "home");
    const run = spawnSync("node", [launcher, ...words], {
      encoding: "utf8",
      env: { ...process.env, SPANWAY_HOME: home, AWS_SECRET_ACCESS_KEY: "hush" },
    });
    assert.equal(run.status, 0, run.stderr);
    const { argv, ...seen } = JSON.parse(run.stdout);
    assert.deepEqual(argv, words);
    assert.deepEqual(seen, {
      secret: "undefined",
      home,
      passwd: "NotCapable",
      write: "NotCapable",
      run: "NotCapable",
      net: "NotCapable",
      shared: "NotCapable",
    });
  }));

Deno.test("without Deno the bundle runs in Node, in the same process", () =>
  withAgent(async (launcher, dir) => {
    const env = { ...process.env, SPANWAY_RUNTIME: "node" };
    const missing = spawnSync("node", [launcher], { env, encoding: "utf8" });
    assert.equal(missing.status, 1);
    assert.match(missing.stderr, /npm run build/);

    await mkdir(join(dir, "dist"));
    await writeFile(
      join(dir, "dist", "agent.js"),
      "console.log(process.pid, typeof Deno, ...process.argv.slice(2)); process.exitCode = 3;",
    );
    const run = spawnSync("node", [launcher, "a", "b c"], { env, encoding: "utf8" });
    assert.equal(run.status, 3);
    assert.equal(run.stdout, `${run.pid} undefined a b c\n`);

    // No platform package of Deno at all: the same by itself.
    await rm(join(dir, "node_modules"));
    const alone = spawnSync("node", [launcher, "x"], { encoding: "utf8" });
    assert.equal(alone.stdout, `${alone.pid} undefined x\n`);
    const asked = spawnSync("node", [launcher], { env: { ...env, SPANWAY_RUNTIME: "deno" }, encoding: "utf8" });
    assert.equal(asked.status, 1);
    const wrong = spawnSync("node", [launcher], { env: { ...env, SPANWAY_RUNTIME: "bun" }, encoding: "utf8" });
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /SPANWAY_RUNTIME is "bun"/);
  }));
