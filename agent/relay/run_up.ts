import type { CommandContext } from "../cli/context.ts";
import type { UpOptions } from "../cli/options.ts";
import { takePassword } from "../ssh/share/password_env.ts";
import { shareTarget } from "../share/run_share.ts";
import { listenerTarget, type OpenTarget, openTarget } from "../target/open_target.ts";
import { needDeno } from "./run_relay.ts";
import { startService } from "./service.ts";

/**
 * `spanway up`: a share service and one share of it in this process, until the signal aborts or the share expires.
 * Without a target it shares a small page of spanway's own.
 * @throws {SpanwayError}
 */
export async function runUp(options: UpOptions, context: CommandContext): Promise<void> {
  needDeno();
  // The service that is started next has no business with it.
  takePassword();
  const { output } = context;
  const target = await open(options, context.home.dir);
  try {
    const service = await startService({
      ...options,
      region: "local",
      tls: undefined,
      tell(event) {
        if (event.event === "worker-exit") output.warn(`The Worker ended (${event.reason}); it is started again.`);
      },
    });
    try {
      output.line();
      output.line(
        `  ${output.colors.bold("spanway")} runs a share service on this machine and shares ${target.label}.`,
      );
      await shareTarget(target, { ...options, relay: service.url }, context);
    } finally {
      await service.stop();
    }
  } finally {
    target.close();
  }
}

async function open(options: UpOptions, homeDir: string): Promise<OpenTarget> {
  if (options.target !== undefined || options.disableHttp) {
    return await openTarget({ ...options, excluded: [homeDir, options.dataDir], exceptPorts: [options.listen.port] });
  }
  const { createDemo } = await import("../target/demo/demo.ts");
  return await listenerTarget({ ...createDemo(), key: "demo", label: "a demo page" });
}
