import { LinkError } from "../../shared/errors.ts";
import { isSshTarget } from "../../shared/ssh/messages.ts";
import type { CommandContext } from "../cli/context.ts";
import type { ConnectOptions } from "../cli/options.ts";
import { ToldError } from "../errors.ts";
import { ConnectReport, STREAM_FAILURES } from "./connect_report.ts";
import { type LocalFront, startLocalFront } from "./local_front.ts";
import type { PathEvent } from "./path_controller.ts";
import { sharePath } from "./share_path.ts";

/**
 * `spanway connect`: makes a share's ports reachable from here until the signal aborts.
 * @throws {SpanwayError} when the share cannot be reached, is over, or is not who it should be
 */
export async function runConnect(options: ConnectOptions, context: CommandContext): Promise<void> {
  const { home, output, signal } = context;
  const { name } = options.share;
  const report = new ConnectReport(output, name, options.stdio !== undefined);
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
      report.event(event);
      hear(event);
    },
    remembersAnew: () => report.remembersAnew(),
  });

  const { controller } = path;
  try {
    if (!await controller.start(stop)) return;
    const { fingerprint, firstUse } = path;
    front = await startLocalFront(options, controller, {
      output,
      fingerprint,
      async stdioFailed(code) {
        if (signal.aborted) return;
        const target = `${stdioText(options)} of ${name}`;
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
    front?.close();
    await path.close();
  }
}

function stdioText({ stdio }: ConnectOptions): string {
  return stdio !== undefined && isSshTarget(stdio) ? "the SSH server" : `port ${stdio?.port}`;
}
