import process from "node:process";
import { type Command, Option } from "commander";
import { SERVICE_KEY_MAX_CHARS, SERVICE_KEY_MIN_CHARS } from "../../../shared/limits.ts";
import { UsageError } from "../../errors.ts";
import { addTlsOptions, describeCommand, type Runner } from "../command.ts";
import type { EdgeOptions } from "../options.ts";
import { domainName, listenAddress, path, regionName, serviceUrl } from "../parse.ts";
import { type RawTls, tlsFiles } from "../tls_files.ts";

/** `spanway edge` */
export function edgeCommand(run: Runner): Command {
  const command = describeCommand("edge", "run one more edge for a service that runs elsewhere", [
    ["edge --control https://share.example.com --region eu-west --listen :443", "key in SPANWAY_SERVICE_KEY"],
    ["edge --control http://10.0.0.1:8080 --region lab --service-key-file key.txt", "key in a file"],
  ])
    .addOption(
      new Option("--control <url>", "the service this edge works for").argParser(serviceUrl).makeOptionMandatory(),
    )
    .addOption(new Option("--region <name>", "what this place is called").argParser(regionName).makeOptionMandatory())
    .addOption(
      new Option("--listen <host:port>", "where visitors (TCP) and agents (UDP) come in")
        .argParser(listenAddress).default({ host: "0.0.0.0", port: 8443 }, "0.0.0.0:8443"),
    )
    .addOption(
      new Option(
        "--public-host <name>",
        "its own name, where the shares' domain leads elsewhere, such as to Cloudflare",
      )
        .argParser(domainName),
    )
    .addOption(
      new Option("--service-key-file <file>", "file with the service's key (default: SPANWAY_SERVICE_KEY)")
        .argParser(path),
    );
  return addTlsOptions(command).action(() =>
    run(async (context) => {
      const { runEdge } = await import("../../relay/run_relay.ts");
      const { serviceKeyFile, publicHost, tlsCert, tlsKey, ...options } = command.optsWithGlobals<RawEdge>();
      const tls = tlsFiles({ tlsCert, tlsKey });
      await runEdge({ ...options, publicHost, tls, serviceKey: await readServiceKey(serviceKeyFile) }, context);
    })
  );
}

type RawEdge = Omit<EdgeOptions, "tls" | "serviceKey" | "publicHost"> & RawTls & {
  serviceKeyFile?: string;
  publicHost?: string;
};

/** The key from its file, or from the environment: never from the command line, which everybody on a machine can read. */
async function readServiceKey(file: string | undefined): Promise<string> {
  const hint = "Put the service's key into SPANWAY_SERVICE_KEY or into a file for --service-key-file.";
  let text = process.env.SPANWAY_SERVICE_KEY;
  if (file !== undefined) {
    const { readText } = await import("../../home/files.ts");
    text = await readText(file, SERVICE_KEY_MAX_CHARS + 2).catch(() => undefined);
    if (text === undefined) throw new UsageError(`The key file ${file} cannot be read.`, hint);
  }
  const key = text?.trim() ?? "";
  if (key === "") throw new UsageError("An edge needs the key of its service.", hint);
  if (key.length < SERVICE_KEY_MIN_CHARS || key.length > SERVICE_KEY_MAX_CHARS || !/^[\x21-\x7e]+$/.test(key)) {
    throw new UsageError(
      "That is no service key.",
      `It is one word of ${SERVICE_KEY_MIN_CHARS} to ${SERVICE_KEY_MAX_CHARS} characters.`,
    );
  }
  return key;
}
