/** One relay, one origin and one share of it for all tests of a file. */
import { RawOrigin, TestOrigin } from "./origin.ts";
import { type RunningRelay, type RunningShare, startRelay, startShare } from "./spanway.ts";

/** What the tests of a file have in common; ready once the first of them runs. */
export interface World {
  relay: RunningRelay;
  origin: TestOrigin;
  share: RunningShare;
  raw: RawOrigin;
  /** The share of `raw`. */
  rawShare: RunningShare;
}

/**
 * Sets the world up before the first test of the file that calls it, and takes it down after the last. `args` are those of
 * the shares.
 */
export function world(
  parts: { readonly args?: readonly string[]; readonly relayArgs?: readonly string[]; readonly raw?: boolean } = {},
): World {
  const it = {} as World;
  Deno.test.beforeAll(async () => {
    it.relay = await startRelay({ args: parts.relayArgs ?? [] });
    it.origin = await TestOrigin.start();
    const { args = [] } = parts;
    const shares = [startShare(it.origin.port, { relay: it.relay, args })];
    if (parts.raw === true) {
      it.raw = await RawOrigin.start();
      // A raw origin cannot be probed: its protocol is said.
      shares.push(startShare(`http://127.0.0.1:${it.raw.port}`, { relay: it.relay, args }));
    }
    [it.share, it.rawShare] = await Promise.all(shares) as [RunningShare, RunningShare];
  });
  Deno.test.afterAll(async () => {
    await Promise.all([it.share?.stop(), it.rawShare?.stop()]);
    await it.relay?.stop();
    await Promise.all([it.origin?.close(), it.raw?.close()]);
  });
  return it;
}
