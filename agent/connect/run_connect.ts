import { LinkError } from "../../shared/errors.ts";
import { isSshTarget } from "../../shared/ssh/messages.ts";
import type { CommandContext } from "../cli/context.ts";
import type { ConnectOptions } from "../cli/options.ts";
import { ExitCodeError, ToldError } from "../errors.ts";
import { INSIDE } from "../tun/inside/inside_plan.ts";
import { runInside } from "../tun/inside/run_inside.ts";
import { ConnectReport, STREAM_FAILURES } from "./connect_report.ts";
import { type LocalFront, startLocalFront } from "./local_front.ts";
import type { PathEvent } from "./path_controller.ts";
import { QuietTunnel } from "./quiet_tunnel.ts";
import { sharePath } from "./share_path.ts";

/**
 * `spanway connect`: makes a share's ports reachable from here until the signal aborts.
 * @throws {SpanwayError} when the share cannot be reached, is over, or is not who it should be
 */
export async function runConnect(options: ConnectOptions, context: CommandContext): Promise<void> {
  const { home, output, signal, leaveInterrupts } = context;
  const { name } = options.share;
  const { inside } = options;
  const report = new ConnectReport(output, name, options.stdio !== undefined || inside !== undefined);
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  let front: LocalFront | undefined;

  const hear = (event: PathEvent) => {
    if (event.event === "ports") front?.map?.update(event.ports);
    // One connection is all that --stdio has: without it there is nothing to come back for.
    if (event.event === "broken" && options.stdio !== undefined) over.abort(event.error);
  };
  const path = await sharePath(options, home, {
    event(event) {
      report.event(event, event.event !== "stream" || !quiet.isQuiet(event.target));
      hear(event);
    },
    remembersAnew: () => report.remembersAnew(),
  });

  const { controller } = path;
  const quiet = new QuietTunnel(controller);
  try {
    if (!await controller.start(stop)) return;
    const { fingerprint, firstUse } = path;
    front = await startLocalFront(options, controller, {
      output,
      quiet,
      addressesDir: home.addressesDir,
      fingerprint,
      async stdioFailed(code) {
        if (signal.aborted) return;
        const target = `${stdioText(options)} of ${name}`;
        output.error(new LinkError(code, `The connection to ${target} ended: ${STREAM_FAILURES[code]}`));
        await output.flush();
      },
    });
    if (front.map !== undefined) controller.watchPorts();
    const { socks, forwards } = front;
    report.ready({ ...whereabouts(options, front), name, fingerprint, firstUse, socks, forwards });
    const running = controller.run(stop);
    if (inside !== undefined) {
      const ending = new AbortController();
      // A share that has ended leaves nothing for the command to do.
      running.catch(() => {}).finally(() => ending.abort());
      const code = await runInside(inside, { tunnel: quiet, name, signal: ending.signal, leaveInterrupts });
      await controller.close();
      // Why the share is over counts for more than how the command took it.
      if (ending.signal.aborted) await running;
      report.ended(signal.aborted ? "interrupted" : "ended");
      if (code !== 0) throw new ExitCodeError(code);
      return;
    }
    await Promise.race([running, front.stdio ?? running]);
    await controller.close();
    const code = (await front.stdio)?.code;
    if (code !== undefined && !signal.aborted) throw new ToldError(code, STREAM_FAILURES[code]);
    report.ended(signal.aborted ? "interrupted" : "ended");
  } finally {
    report.close();
    await front?.close();
    await path.close();
  }
}

/** Where the share is on this machine, or where the command that is started next finds it. */
function whereabouts({ share: { name }, tun, map: asked, inside }: ConnectOptions, { address, map }: LocalFront) {
  const nothing = { ip: map?.ip, ip6: undefined, device: undefined, hostname: undefined, hint: undefined };
  if (inside !== undefined) return { ...nothing, ip: INSIDE.share, hostname: `${name}.spanway` };
  // Who asked for nothing is not told what else there could be, but for what is least.
  if (address !== undefined) return { ...address, hint: tun === "wanted" ? address.hint : undefined };
  const hint = "Its ports are mirrored there. For every port and ping: --exec, --shell, or spanway setup-tun.";
  return tun === "none" || asked || map === undefined ? nothing : { ...nothing, hint };
}

function stdioText({ stdio }: ConnectOptions): string {
  return stdio !== undefined && isSshTarget(stdio) ? "the SSH server" : `port ${stdio?.port}`;
}
