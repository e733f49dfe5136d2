/** OpenSSH through `spanway connect NAME --stdio PORT` as its ProxyCommand, to a real sshd. */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { startTcpShare } from "../support/connect_world.ts";
import { RestartingEdge, startRelayBehindEdges } from "../support/edges.ts";
import { testUnless } from "../support/needs.ts";
import { allGone } from "../support/processes.ts";
import { descendantsOf, type RunningRelay, type RunningShare, startRelay } from "../support/spanway.ts";
import { freePort, Sshd, whyNoSshd } from "../support/sshd.ts";
import { within } from "../support/visitor.ts";
import { withoutEdge } from "../support/service.ts";

const LAUNCHER = fileURLToPath(new URL("../../agent/bin/spanway.js", import.meta.url));
const noSshd = whyNoSshd();

/** Words of an ssh that goes through spanway, and the environment that it wants. */
class SshThroughSpanway implements Disposable {
  readonly words: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly #home = mkdtempSync(join(tmpdir(), "spanway-ssh-"));

  constructor(relay: RunningRelay, share: RunningShare, sshd: Sshd, port = sshd.port) {
    const proxy = `node ${LAUNCHER} connect ${share.name} --relay ${relay.url} --stdio ${port}`;
    const keepAlive = ["-o", "ServerAliveInterval=0", "-o", `ProxyCommand=${proxy}`];
    this.words = [...sshd.options, ...keepAlive, `${sshd.user}@${share.name}`];
    this.env = { ...process.env, SPANWAY_HOME: this.#home };
  }

  run(command: string, input?: Uint8Array): Promise<{ code: number; out: Uint8Array; err: string }> {
    return new Promise((resolve) => {
      const options = { env: this.env, encoding: "buffer", maxBuffer: 2 ** 28, timeout: 120_000 } as const;
      const child = execFile("ssh", [...this.words, command], options, (error, out, err) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, out: new Uint8Array(out), err: err.toString() });
      });
      child.stdin!.on("error", () => {});
      child.stdin!.end(input);
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.#home, { recursive: true, force: true });
  }
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

testUnless(noSshd, "ssh runs commands, carries bytes both ways, and passes exit codes on", async () => {
  using sshd = await Sshd.start();
  await using relay = await startRelay();
  await using share = await startTcpShare(relay);
  using ssh = new SshThroughSpanway(relay, share, sshd);
  const hello = await ssh.run("echo hello; exit 7");
  assert.equal(hello.code, 7, hello.err);
  assert.equal(new TextDecoder().decode(hello.out), "hello\n");
  const bytes = randomBytes(20_000_000);
  const back = await ssh.run("cat", bytes);
  assert.equal(back.code, 0, back.err);
  assert.equal(sha256(back.out), sha256(bytes));
});

testUnless(noSshd, "ssh to a port where nobody listens ends at once with one line that says so", async () => {
  using sshd = await Sshd.start();
  await using relay = await startRelay();
  await using share = await startTcpShare(relay);
  using ssh = new SshThroughSpanway(relay, share, sshd, await freePort());
  const { code, out, err } = await within(ssh.run("true"), "the end");
  assert.equal(code, 255);
  assert.equal(out.length, 0);
  assert.match(err, /refused|nothing listens|no one listens|nobody listens/i);
});

/** A login with a terminal, whose shell counts. */
class Session implements Disposable {
  readonly child: ChildProcess;
  heard = "";
  readonly #listeners = new Set<() => void>();
  #over = false;

  constructor(ssh: SshThroughSpanway) {
    this.child = spawn("ssh", ["-tt", ...ssh.words, "stty -echo; PS1= exec sh -i"], { env: ssh.env });
    const hear = (chunk: Uint8Array) => {
      this.heard += new TextDecoder().decode(chunk);
      this.#changed();
    };
    this.child.stdout!.on("data", hear);
    this.child.stderr!.on("data", hear);
    this.child.stdin!.on("error", () => {});
    this.child.on("exit", () => {
      this.#over = true;
      this.#changed();
    });
  }

  get over(): boolean {
    return this.#over;
  }

  type(line: string): void {
    this.child.stdin!.write(`${line}\n`);
  }

  /** Waits until what was heard from `from` on matches. */
  async until(pattern: RegExp, from: number, ms: number): Promise<RegExpExecArray> {
    const end = performance.now() + ms;
    for (;;) {
      const match = pattern.exec(this.heard.slice(from));
      if (match !== null) return match;
      const left = end - performance.now();
      if (this.#over || left <= 0) {
        throw new Error(
          `${this.#over ? "the session ended" : "timed out"} before ${pattern}\n${this.heard.slice(-500)}`,
        );
      }
      let timer;
      await Promise.race([
        new Promise<void>((resolve) => this.#listeners.add(resolve)),
        new Promise((resolve) => timer = setTimeout(resolve, left)),
      ]);
      clearTimeout(timer);
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }

  [Symbol.dispose](): void {
    this.child.kill();
  }
}

testUnless(
  noSshd ?? withoutEdge("about edges"),
  "an interactive ssh session lives through ten kill -9 of its edge",
  async () => {
    using sshd = await Sshd.start();
    await using relay = await startRelayBehindEdges();
    await using first = await RestartingEdge.start(relay, "aa-first");
    await using second = await RestartingEdge.start(relay, "bb-second");
    await using share = await startTcpShare(relay);
    using ssh = new SshThroughSpanway(relay, share, sshd);
    using session = new Session(ssh);
    // A counter that never stops, and a shell that still answers.
    session.type("(i=0; while :; do i=$((i+1)); echo tick-$i.; sleep 0.1; done) & echo shell-pid-$$.");
    const [, shell] = await session.until(/shell-pid-(\d+)\./, 0, 20_000);
    await session.until(/tick-3\./, 0, 10_000);
    const edges = new Map([first, second].map((edge) => [edge.region, edge]));
    const gaps: number[] = [];
    for (let kill = 1; kill <= 10; kill++) {
      const where = share.process.events.findLast(({ event, state }) => event === "path" && state === "attached")!.edge;
      const edge = edges.get(where);
      assert.ok(edge !== undefined, `the share is at ${where}`);
      await edge.kill();
      // What was under way is out by now, or never will be by this path.
      const from = session.heard.length;
      const killedAt = performance.now();
      await session.until(/tick-\d+\.[^]*tick-\d+\.[^]*tick-\d+\./, from, 30_000);
      gaps.push(Math.round(performance.now() - killedAt));
      const asked = session.heard.length;
      session.type(`echo still-$$-${kill}.`);
      await session.until(new RegExp(`still-${shell}-${kill}\\.`), asked, 10_000);
      await edge.restart();
    }
    console.log(`milliseconds to go on after each kill: ${gaps.join(" ")}`);
    assert.ok(!session.over);
    // Not one line of the counter is missing or came twice.
    const ticks = [...session.heard.matchAll(/tick-(\d+)\./g)].map(([, number]) => Number(number));
    assert.deepEqual(ticks, ticks.map((_, i) => i + 1));
    assert.ok(Math.max(...gaps) < 10_000, `${gaps}`);
    const connector = descendantsOf(session.child.pid!).map(({ pid }) => pid);
    assert.ok(connector.length >= 2);
    session.type("kill %1; exit");
    await within(new Promise((resolve) => session.child.once("exit", resolve)), "the end of the session");
    await allGone(connector);
  },
);
