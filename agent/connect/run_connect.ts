import { LinkError } from "../../shared/errors.ts";
import { LINK_TICK_MS } from "../../shared/limits.ts";
import { openLink } from "../../shared/link/open_link.ts";
import { secureRandom } from "../../shared/random.ts";
import type { CommandContext } from "../cli/context.ts";
import type { ConnectOptions } from "../cli/options.ts";
import { ToldError } from "../errors.ts";
import { checkIdentity, KnownShares } from "../home/known_shares.ts";
import { connectEdge } from "../attach/connect_edge.ts";
import { ServiceApi } from "../attach/service_api.ts";
import { sleep } from "../attach/sleep.ts";
import { VERSION } from "../version.ts";
import { ConnectReport, STREAM_FAILURES } from "./connect_report.ts";
import { type LocalFront, startLocalFront } from "./local_front.ts";
import { PathController, type PathEvent } from "./path_controller.ts";

/**
 * `spanway connect`: makes a share's ports reachable from here until the signal aborts.
 * @throws {SpanwayError} when the share cannot be reached, is over, or is not who it should be
 */
export async function runConnect(options: ConnectOptions, context: CommandContext): Promise<void> {
  const { home, output, signal } = context;
  const { relay, share: { name, fingerprint: expected } } = options;
  const identity = await home.identity();
  const known = new KnownShares(home.dir);
  const api = new ServiceApi({ relay, identity, now: Date.now, random: secureRandom });
  const report = new ConnectReport(output, name, options.stdio !== undefined);
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  let front: LocalFront | undefined;
  let firstUse = false;
  let forget = options.forget;
  let fingerprint = "";

  const controller = new PathController(name, options.resumeWindow, {
    now: () => performance.now(),
    random: Math.random,
    sleep,
    later: (ms, action) => void setTimeout(action, ms),
    edgeOf: (attempt) => api.edgeOf(name, attempt),
    connect: connectEdge,
    ticket: () => api.ticket("connect", name),
    async openLink(session) {
      let outdated = false;
      const opened = await openLink(session, {
        name,
        identity,
        settings: { resumeWindowMs: options.resumeWindow, agent: `spanway/${VERSION}` },
        random: secureRandom,
      }, async (peer) => {
        const pinned = forget ? undefined : await known.lookup(relay.origin, name);
        const verdict = checkIdentity({ name, expected, pinned, actual: peer.fingerprint });
        firstUse = verdict === "first-use" && expected === undefined;
        fingerprint = peer.fingerprint;
        outdated = forget || verdict === "outdated";
        if (verdict === "first-use" && !forget) await known.pin(relay.origin, name, peer.fingerprint);
      });
      // What was remembered goes only once the new identity was proved and is the one that was meant.
      if (outdated) await known.replace(relay.origin, name, fingerprint);
      if (outdated && !forget) report.remembersAnew();
      forget = false;
      return opened;
    },
  }, (event) => {
    report.event(event);
    hear(event);
  });

  const hear = (event: PathEvent) => {
    if (event.event === "ports") front?.map?.update(event.ports);
    // One connection is all that --stdio has: without it there is nothing to come back for.
    if (event.event === "broken" && options.stdio !== undefined) over.abort(event.error);
  };

  const ticking = setInterval(() => controller.tick(), LINK_TICK_MS);
  try {
    if (!await controller.start(stop)) return;
    front = await startLocalFront(options, controller, {
      output,
      fingerprint,
      async stdioFailed(code) {
        if (signal.aborted) return;
        const target = `port ${options.stdio?.port} of ${name}`;
        output.error(new LinkError(code, `The connection to ${target} ended: ${STREAM_FAILURES[code]}`));
        await output.flush();
      },
    });
    if (front.map !== undefined) controller.watchPorts();
    const { socks, forwards, map } = front;
    report.ready({ name, fingerprint, firstUse, socks, ip: map?.ip, forwards });
    const running = controller.run(stop);
    await Promise.race([running, front.stdio ?? running]);
    await controller.close();
    const code = (await front.stdio)?.code;
    if (code !== undefined && !signal.aborted) throw new ToldError(code, STREAM_FAILURES[code]);
    report.ended(signal.aborted ? "interrupted" : "ended");
  } finally {
    report.close();
    clearInterval(ticking);
    front?.close();
    await controller.close();
  }
}
