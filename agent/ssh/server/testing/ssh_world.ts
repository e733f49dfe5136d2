/** A server with a key of its own, and OpenSSH's clients, which come to it through a port of this machine. */
import { Buffer } from "node:buffer";
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { PATIENCE_MS } from "../../../../tests/support/spanway.ts";
import type { TcpEnd, TcpListener } from "../../../../shared/link/ends.ts";
import { socketEnd } from "../../../net/socket_end.ts";
import { makeHostKey, SshServer, type SshServerOptions } from "../ssh_server.ts";

/** What became of a client. */
export interface Finished {
  readonly code: number | null;
  readonly output: string;
  readonly bytes: Buffer;
  readonly errors: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly timeoutMs?: number;
}

/** As the link does: what one end reads, the other one writes, and is held back by it. */
export function splice(one: TcpEnd, other: TcpEnd): void {
  const listener = (from: TcpEnd, to: TcpEnd): TcpListener => ({
    data: (bytes) => {
      if (!to.write(bytes, () => {})) from.pause();
    },
    end: () => to.end(),
    drain: () => to.resume(),
    broken: () => to.reset(),
  });
  one.start(listener(one, other));
  other.start(listener(other, one));
}

function hungUp(): void {}

export class SshWorld implements Disposable {
  readonly server: SshServer;
  /** Temporary; the keys are beside `home`. */
  readonly dir: string;
  readonly home: string;
  readonly port: number;
  /** Who has logged in, in order. */
  readonly logins: string[] = [];
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  readonly #children = new Set<ChildProcessWithoutNullStreams>();

  private constructor(server: SshServer, dir: string, listener: Server) {
    this.server = server;
    this.dir = dir;
    this.home = join(dir, "home");
    this.#listener = listener;
    this.port = (listener.address() as AddressInfo).port;
    // As the agent does: what it starts then takes the signal as usual, even if all of this runs under nohup.
    process.on("SIGHUP", hungUp);
    listener.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
      splice(socketEnd(socket), server.connect({ login: (user) => this.logins.push(user) }));
    });
  }

  static async start(options: Partial<SshServerOptions> = {}): Promise<SshWorld> {
    const dir = realpathSync(mkdtempSync(join(tmpdir(), "spanway-ssh-")));
    const home = join(dir, "home");
    mkdirSync(home);
    for (const name of ["user", "stranger"]) {
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(dir, name)]);
    }
    const publicKey = Buffer.from(readFileSync(join(dir, "user.pub"), "utf8").split(" ")[1]!, "base64");
    const server = new SshServer({
      hostKey: makeHostKey(),
      authorized: (key) => publicKey.equals(key),
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin", HOME: home, SPANWAY_TEST: "here" },
      shell: "/bin/bash",
      home,
      ...options,
    });
    const listener = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const world = new SshWorld(server, dir, listener);
    // The real host key: a client that meets another one refuses.
    writeFileSync(join(dir, "known"), `[127.0.0.1]:${world.port} ${server.hostKey}\n`);
    return world;
  }

  /** Words for `ssh`, `scp` and `sftp`: this key, this host key, nobody's configuration. */
  words(key = "user"): string[] {
    const given = {
      IdentityFile: join(this.dir, key),
      IdentitiesOnly: "yes",
      UserKnownHostsFile: join(this.dir, "known"),
      StrictHostKeyChecking: "yes",
      LogLevel: "ERROR",
      BatchMode: "yes",
      Port: String(this.port),
    };
    return ["-F", "none", ...Object.entries(given).flatMap(([name, value]) => ["-o", `${name}=${value}`])];
  }

  get where(): string {
    return "me@127.0.0.1";
  }

  /** Starts a client; it is killed with the world. */
  spawn(program: string, words: readonly string[]): ChildProcessWithoutNullStreams {
    const child = spawn(program, [...words], { cwd: this.dir });
    this.#children.add(child);
    child.on("close", () => this.#children.delete(child));
    child.stdin.on("error", () => {});
    return child;
  }

  /** Runs a client to its end. */
  run(program: string, words: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const { input = "", timeoutMs = PATIENCE_MS } = options;
    const child = this.spawn(program, words);
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on("data", (bytes: Buffer) => output.push(bytes));
    child.stderr.on("data", (bytes: Buffer) => errors.push(bytes));
    child.stdin.end(input);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        reject(new Error(`${program} hangs: ${Buffer.concat(output)} ${Buffer.concat(errors)}`));
      }, timeoutMs);
      child.on("close", (code) => {
        clearTimeout(timer);
        const bytes = Buffer.concat(output);
        resolve({ code, bytes, output: bytes.toString("utf8"), errors: Buffer.concat(errors).toString("utf8") });
      });
    });
  }

  /** `ssh` with these words of its own before the host, and a command after it. */
  ssh(
    command: readonly string[],
    options: RunOptions & { readonly words?: readonly string[] } = {},
  ): Promise<Finished> {
    return this.run("ssh", [...this.words(), ...(options.words ?? []), this.where, ...command], options);
  }

  /** Breaks every connection, as a network does that goes. */
  breakAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  [Symbol.dispose](): void {
    process.off("SIGHUP", hungUp);
    for (const child of this.#children) child.kill("SIGKILL");
    this.server.close();
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
