import { join } from "node:path";
import type { Command } from "commander";
import { addShareOptions, describeCommand, type RawShare, type Runner, shareOptions } from "../command.ts";
import type { GlobalOptions, ServiceOptions } from "../options.ts";
import { addListenOptions } from "./relay.ts";

/** `spanway up [TARGET]` */
export function upCommand(run: Runner): Command {
  const command = describeCommand("up", "relay and share in one, for trying it out", [
    ["up", "share a small demo page with this machine"],
    ["up 3000", "share the server on port 3000 with this machine"],
    ["up ./dist --listen 0.0.0.0:8080 --domain 192-168-1-5.nip.io", "share a folder with the local network"],
  ]).argument("[target]", "port, host:port, http(s) URL or folder; without it a demo page");
  return addShareOptions(addListenOptions(command)).action((target: string | undefined) =>
    run(async (context) => {
      const { runUp } = await import("../../relay/run_up.ts");
      const { data, ...options } = command.optsWithGlobals<RawUp>();
      const dataDir = data ?? join(context.home.dir, "relay");
      await runUp({ ...shareOptions(options, target), dataDir }, context);
    })
  );
}

type RawUp = GlobalOptions & RawShare & Omit<ServiceOptions, "dataDir"> & { data?: string };
