/** Starts `spanway connect` for tests, as a real process. */
import process from "node:process";
import { type RunningShare, type SpanwayEvent, SpanwayProcess, type StartOptions } from "./spanway.ts";

export interface ConnectOptions extends StartOptions {
  /** Let it choose whether the share gets an address. */
  readonly best?: boolean;
  readonly relay: { readonly url: string };
  /** Words behind `connect SHARE`, such as `-L`, `0:5432`. SOCKS listens at any free port unless they say otherwise. */
  readonly args?: readonly string[];
}

/** A connect that is ready. */
export interface RunningConnect extends AsyncDisposable {
  readonly process: SpanwayProcess;
  readonly ready: SpanwayEvent;
  /** HOST:PORT of the SOCKS5 proxy. */
  readonly socks: string;
  /** The local port of each `-L`, in order. */
  readonly ports: readonly number[];
  stop(): Promise<number>;
}

/** A connect that may never get ready; its events tell. */
export function spawnConnect(share: string, options: ConnectOptions): SpanwayProcess {
  const { args = [], relay } = options;
  const socks = args.some((word) => /^--(no-)?socks$|^--stdio$/.test(word)) ? [] : ["--socks", "0"];
  const runtime = process.env.SPANWAY_TEST_RUNTIME;
  const env = { ...(runtime === undefined ? {} : { SPANWAY_RUNTIME: runtime }), ...options.env };
  // An address only for the tests that are about it.
  const tun = options.best || args.some((word) => /^--(tun|no-tun|ip|hosts|exec|shell|ssh)$/.test(word))
    ? []
    : ["--no-tun"];
  return new SpanwayProcess(["connect", share, "--relay", relay.url, ...socks, ...tun, ...args], { ...options, env });
}

/** Starts `spanway connect` and waits until it is ready. `share` is a name, a full code, or a running share. */
export async function startConnect(share: RunningShare | string, options: ConnectOptions): Promise<RunningConnect> {
  const running = spawnConnect(typeof share === "string" ? share : share.name, options);
  try {
    const ready = await running.event("ready");
    const forwards = (ready.forwards ?? []) as { local: string }[];
    return {
      process: running,
      ready,
      socks: String(ready.socks),
      ports: forwards.map(({ local }) => Number(/:(\d+)(\/udp)?$/.exec(local)?.[1])),
      stop: () => running.stop(),
      [Symbol.asyncDispose]: async () => void await running.stop(),
    };
  } catch (error) {
    await running.stop();
    throw error;
  }
}
