import { join } from "node:path";
import { type Command, Option } from "commander";
import { UsageError } from "../../errors.ts";
import { addTlsOptions, describeCommand, type Runner } from "../command.ts";
import type { RelayOptions } from "../options.ts";
import { domainName, listenAddress, path, regionName, serviceUrl } from "../parse.ts";
import { type RawTls, tlsFiles } from "../tls_files.ts";

/** `spanway relay` */
export function relayCommand(run: Runner): Command {
  const command = describeCommand("relay", "run the share service on this machine", [
    ["relay", "for this machine only, at http://localhost:8080"],
    ["relay --listen 0.0.0.0:8080 --domain share.example.com", "for everybody who reaches port 8080 (TCP and UDP)"],
    ["relay --listen :443 --domain share.example.com --tls-cert cert.pem --tls-key key.pem", "with HTTPS"],
    ["relay --no-edge --public-url https://share.example.com", "behind a proxy with HTTPS"],
  ]);
  addListenOptions(command);
  command.addOption(
    new Option("--region <name>", "what this place is called").argParser(regionName).default("local"),
  );
  command.addOption(
    new Option("--no-edge", "workerd alone, without UDP: what a deploy on Cloudflare does, on this machine")
      // HTTPS and regions are an edge's.
      .conflicts(["tlsCert", "tlsKey", "region"]),
  );
  command.addOption(
    new Option("--public-url <url>", "with --no-edge: where a proxy in front takes visitors and agents")
      .argParser(serviceUrl),
  );
  return addTlsOptions(command).action(() =>
    run(async (context) => {
      const { runRelay } = await import("../../relay/run_relay.ts");
      const { data, tlsCert, tlsKey, edge, publicUrl, ...options } = command.optsWithGlobals<RawRelay>();
      const tls = tlsFiles({ tlsCert, tlsKey });
      checkDoor({ edge, publicUrl, tls });
      await runRelay({
        ...options,
        domain: namedByUrl(command) ? publicUrl?.hostname ?? options.domain : options.domain,
        noEdge: !edge,
        publicUrl,
        dataDir: data ?? join(context.home.dir, "relay"),
        tls,
      }, context);
    })
  );
}

type RawRelay = Omit<RelayOptions, "dataDir" | "tls" | "noEdge"> & RawTls & { data?: string; edge: boolean };

/** A public URL names the domain, unless the person does. */
function namedByUrl(command: Command): boolean {
  return command.getOptionValueSource("domain") === "default";
}

/** HTTPS is for the edge, a proxy for workerd alone. @throws {UsageError} */
function checkDoor({ edge, publicUrl, tls }: Pick<RelayOptions, "publicUrl" | "tls"> & { edge: boolean }): void {
  if (edge && publicUrl !== undefined) {
    throw new UsageError("An edge is a front door itself.", "Leave out --public-url, or add --no-edge.");
  }
  if (!edge && tls !== undefined) {
    throw new UsageError(
      "Without an edge nothing here serves HTTPS.",
      "Leave out --no-edge, or let a proxy do it: --public-url https://share.example.com.",
    );
  }
}

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
