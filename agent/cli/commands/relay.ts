import { join } from "node:path";
import { type Command, Option } from "commander";
import { addTlsOptions, describeCommand, type Runner } from "../command.ts";
import type { RelayOptions } from "../options.ts";
import { domainName, listenAddress, path, regionName } from "../parse.ts";
import { type RawTls, tlsFiles } from "../tls_files.ts";

/** `spanway relay` */
export function relayCommand(run: Runner): Command {
  const command = describeCommand("relay", "run the share service on this machine", [
    ["relay", "for this machine only, at http://localhost:8080"],
    ["relay --listen 0.0.0.0:8080 --domain share.example.com", "for everybody who reaches port 8080 (TCP and UDP)"],
    ["relay --listen :443 --domain share.example.com --tls-cert cert.pem --tls-key key.pem", "with HTTPS"],
  ]);
  addListenOptions(command);
  command.addOption(
    new Option("--region <name>", "what this place is called").argParser(regionName).default("local"),
  );
  return addTlsOptions(command).action(() =>
    run(async (context) => {
      const { runRelay } = await import("../../relay/run_relay.ts");
      const { data, tlsCert, tlsKey, ...options } = command.optsWithGlobals<RawRelay>();
      await runRelay({
        ...options,
        dataDir: data ?? join(context.home.dir, "relay"),
        tls: tlsFiles({ tlsCert, tlsKey }),
      }, context);
    })
  );
}

type RawRelay = Omit<RelayOptions, "dataDir" | "tls"> & RawTls & { data?: string };

/** The options that `relay` and `up` have in common. */
export function addListenOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--listen <host:port>", "where visitors (TCP) and agents (UDP) come in")
        .argParser(listenAddress).default({ host: "127.0.0.1", port: 8080 }, "127.0.0.1:8080"),
    )
    .addOption(new Option("--domain <domain>", "shares are at NAME.DOMAIN").argParser(domainName).default("localhost"))
    .addOption(new Option("--data <dir>", "where the state is kept (default: relay in SPANWAY_HOME)").argParser(path));
}
