/** One relay and one share of this machine's ports for all tests of a file. */
import { type RunningConnect, startConnect } from "./connect.ts";
import { type RunningRelay, type RunningShare, startRelay, startShare } from "./spanway.ts";

/** What the tests of a file have in common; ready once the first of them runs. */
export interface ConnectWorld {
  relay: RunningRelay;
  share: RunningShare;
  /** Connects to the share, in a process of its own. */
  connect(args?: readonly string[]): Promise<RunningConnect>;
}

/** Sets the world up before the first test of the file that calls it, and takes it down after the last. */
export function connectWorld(parts: { readonly shareArgs?: readonly string[] } = {}): ConnectWorld {
  const it = {
    connect: (args: readonly string[] = []) => startConnect(it.share, { relay: it.relay, args }),
  } as ConnectWorld;
  Deno.test.beforeAll(async () => {
    it.relay = await startRelay();
    it.share = await startTcpShare(it.relay, parts.shareArgs);
  });
  Deno.test.afterAll(async () => {
    await it.share?.stop();
    await it.relay?.stop();
  });
  return it;
}

/** Starts a share of this machine's ports, without HTTP. */
export function startTcpShare(
  relay: { readonly url: string },
  args: readonly string[] = [],
  via: readonly string[] = [],
): Promise<RunningShare> {
  return startShare("127.0.0.1:9", { relay, via, args: ["--disable-http", ...args] });
}
