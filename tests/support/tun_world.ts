/** A share on one machine, and another machine that reaches it by an address of its own: network namespaces (Linux, root). */
import { execFile, execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type RunningConnect, spawnConnect, startConnect } from "./connect.ts";
import { startTcpShare } from "./connect_world.ts";
import { RestartingRelay } from "./edges.ts";
import { LinkNetwork, type Machine } from "./link_network.ts";
import { whyNoNetwork } from "./netns.ts";
import { PATIENCE_MS, type RunningShare, type SpanwayProcess } from "./spanway.ts";

const TUN_DEVICE = "/dev/net/tun";

/** Why there can be no address here; undefined when there can. */
export function whyNoTun(): string | undefined {
  return whyNoNetwork() ?? (existsSync(TUN_DEVICE) ? undefined : `there is no ${TUN_DEVICE}`);
}

/** Somebody without any rights. */
export const NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"];

/** Why nobody can run a command in namespaces of their own; undefined when they can. */
export function whyNotInside(): string | undefined {
  const why = whyNoTun();
  if (why !== undefined) return why;
  try {
    const [program = "", ...words] = [...NOBODY, "unshare", "--user", "--map-current-user", "--net", "--keep-caps"];
    execFileSync(program, [...words, "sh", "-c", `exec 3<>${TUN_DEVICE}`], { stdio: "ignore" });
    execFileSync(program, [...NOBODY.slice(1), "test", "-r", new URL(import.meta.url).pathname], { stdio: "ignore" });
    return undefined;
  } catch {
    return `needs user namespaces, ${TUN_DEVICE} for everybody, and sources that everybody may read`;
  }
}

/** What a program said and how it ended. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export class TunWorld implements AsyncDisposable {
  readonly network: LinkNetwork;
  readonly relay: RestartingRelay;
  readonly share: RunningShare;
  readonly #stack: AsyncDisposableStack;

  private constructor(network: LinkNetwork, relay: RestartingRelay, share: RunningShare, stack: AsyncDisposableStack) {
    this.network = network;
    this.relay = relay;
    this.share = share;
    this.#stack = stack;
  }

  static async start(shareArgs: readonly string[] = []): Promise<TunWorld> {
    await using stack = new AsyncDisposableStack();
    const network = stack.use(new LinkNetwork());
    const { domain, relayAddress: address } = network;
    const relay = stack.use(
      await RestartingRelay.start({ via: network.at("relay"), address, args: ["--domain", domain] }),
    );
    const share = stack.use(await startTcpShare(relay, shareArgs, network.at("share")));
    return new TunWorld(network, relay, share, stack.move());
  }

  /** Connects from the other machine, with an address unless `args` say otherwise. */
  connect(
    args: readonly string[] = ["--tun"],
    { share = this.share, ...options }: ConnectFrom = {},
  ): Promise<RunningConnect> {
    const { relay } = this;
    return startConnect(share, { relay, via: this.network.at("connector"), args, ...options });
  }

  /** The same, for a connection that may not come about. */
  spawnConnect(args: readonly string[], { share = this.share, ...options }: ConnectFrom = {}): SpanwayProcess {
    const { relay } = this;
    return spawnConnect(share.name, { relay, via: this.network.at("connector"), args, ...options });
  }

  /** Runs a program at a machine until it ends. */
  run(machine: Machine, words: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return run([...this.network.at(machine), ...words], options);
  }

  /** Runs a program at a machine until it is no longer needed. */
  background(machine: Machine, words: readonly string[]): Disposable {
    const [program = "", ...rest] = [...this.network.at(machine), ...words];
    const child = spawn(program, rest, { stdio: "ignore" });
    return { [Symbol.dispose]: () => void child.kill("SIGKILL") };
  }

  /** True when the server that echoes at this port of the share answers at this address, on the other machine. */
  async answers(ip: string, port: number): Promise<boolean> {
    const script = `exec 3<>/dev/tcp/${ip}/${port}; echo hi >&3; head -1 <&3`;
    return (await this.run("connector", ["timeout", "5", "bash", "-c", script])).out === "hi\n";
  }

  /** What of an address is left on the other machine: devices, routes, names. */
  async left(): Promise<string> {
    const parts = await Promise.all([
      this.run("connector", ["ip", "-o", "link"]),
      this.run("connector", ["ip", "route"]),
      this.run("connector", ["ip", "-6", "route"]),
      this.run("connector", ["cat", "/etc/hosts"]),
    ]);
    return parts.map(({ out }) => out).join("").split("\n")
      .filter((line) => /spanway|172\.16\.|fd00:/.test(line)).join("\n");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

interface ConnectFrom {
  readonly share?: RunningShare;
  readonly home?: string;
  readonly best?: boolean;
  readonly via?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly timeout?: number;
}

/** Runs a program until it ends. */
export function run([program = "", ...words]: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const { env = process.env, timeout = 3 * PATIENCE_MS } = options;
    execFile(program, words, { env, timeout, maxBuffer: 2 ** 26 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, out, err });
    });
  });
}

/** A directory that belongs to nobody, for what they keep. */
export function nobodysHome(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "spanway-nobody-"));
  chmodSync(path, 0o700);
  execFileSync("chown", ["65534:65534", path]);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
