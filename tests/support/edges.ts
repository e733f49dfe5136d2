/** Edges of their own for a relay, which tests kill and start again. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allGone, kill } from "./processes.ts";
import { type RelayOptions, type RunningRelay, SpanwayProcess, type StartOptions, startRelay } from "./spanway.ts";

/** One `spanway edge` that keeps its port and its certificate through every death. */
export class RestartingEdge implements AsyncDisposable {
  readonly region: string;
  /** Port of QUIC and of WebSockets. */
  port = 0;
  readonly #relay: RunningRelay;
  readonly #home = mkdtempSync(join(tmpdir(), "spanway-edge-"));
  readonly #options: StartOptions;
  readonly #address: string;
  #running: SpanwayProcess | undefined;

  private constructor(relay: RunningRelay, region: string, options: EdgeStartOptions) {
    this.#relay = relay;
    this.region = region;
    this.#options = options;
    this.#address = options.address ?? "127.0.0.1";
  }

  /** Starts it and waits until the service knows it. Agents take the edge whose region comes first in the alphabet. */
  static async start(relay: RunningRelay, region: string, options: EdgeStartOptions = {}): Promise<RestartingEdge> {
    const edge = new RestartingEdge(relay, region, options);
    await edge.restart();
    return edge;
  }

  get process(): SpanwayProcess {
    if (this.#running === undefined) throw new Error(`the edge ${this.region} is not running`);
    return this.#running;
  }

  /** kill -9 of the edge itself. Its launcher goes too. */
  async kill(): Promise<void> {
    const { agentPid } = this.process;
    const running = this.process;
    this.#running = undefined;
    kill(agentPid, "SIGKILL");
    await allGone([agentPid]);
    await running.exited;
  }

  /** Starts it on the same port. */
  async restart(): Promise<void> {
    const { process, url } = this.#relay;
    const key = readFileSync(join(process.home, "relay", "service.key"), "utf8").trim();
    const listen = `${this.#address}:${this.port}`;
    const args = ["edge", "--control", url, "--region", this.region, "--listen", listen];
    const env = { ...this.#options.env, SPANWAY_SERVICE_KEY: key };
    const running = new SpanwayProcess(args, { ...this.#options, env, home: this.#home });
    try {
      this.port = Number(new URL((await running.event("ready")).url).port);
      await running.event("edge", { match: ({ registered }) => registered === true });
    } catch (error) {
      await running.stop();
      throw error;
    }
    this.#running = running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.stop();
    rmSync(this.#home, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** A relay that keeps its port and its state through every death. */
export class RestartingRelay implements AsyncDisposable {
  readonly #data = mkdtempSync(join(tmpdir(), "spanway-relay-"));
  readonly #options: RelayOptions;
  #running: RunningRelay | undefined;
  #port = 0;
  #url = "";

  private constructor(options: RelayOptions) {
    this.#options = options;
  }

  static async start(options: RelayOptions = {}): Promise<RestartingRelay> {
    const relay = new RestartingRelay(options);
    await relay.restart();
    return relay;
  }

  get url(): string {
    return this.#url;
  }

  /** kill -9 of the relay itself, its only edge. Its launcher and its Worker go too. */
  async kill(): Promise<void> {
    const { process } = this.#running!;
    const { agentPid, workerdPid } = process;
    this.#running = undefined;
    kill(agentPid, "SIGKILL");
    await allGone([agentPid, workerdPid]);
    await process.exited;
  }

  /** Starts it on the same port. */
  async restart(): Promise<void> {
    const args = ["--data", this.#data, ...(this.#options.args ?? [])];
    this.#running = await startRelay({ ...this.#options, args, port: this.#port });
    this.#port = this.#running.port;
    this.#url = this.#running.url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.stop();
    rmSync(this.#data, { recursive: true, force: true, maxRetries: 3 });
  }
}

export interface EdgeStartOptions extends StartOptions {
  /** Default 127.0.0.1. */
  readonly address?: string;
}

/** A relay whose own edge agents take last: the edges that a test starts come before it in the alphabet. */
export function startRelayBehindEdges(args: readonly string[] = []): Promise<RunningRelay> {
  return startRelay({ args: ["--region", "zz-relay", ...args] });
}
