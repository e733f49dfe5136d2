/** What all commands are made of. */
import { Command, Option } from "commander";
import { LINK_RESUME_WINDOW_MS, SHARE_TTL_MS } from "../../shared/limits.ts";
import { checkName } from "../../shared/names.ts";
import { type Jurisdiction, JURISDICTIONS } from "../../shared/object_place.ts";
import { UsageError } from "../errors.ts";
import type { HostRule } from "../reach/host_rule.ts";
import { allowsNothing } from "../reach/policy.ts";
import { ALL_PORTS, parsePorts, type PortSet } from "../reach/port_set.ts";
import type { CommandContext } from "./context.ts";
import { formatDuration } from "./duration.ts";
import type { SharedTargetOptions } from "./options.ts";
import { allowHost, expiry, hostHeader, path, resumeWindow } from "./parse.ts";
import { addSshOptions, type RawSsh, sshOptions } from "./parse_ssh.ts";

/** Runs what a command does: gives it its context, reports what it throws, and sets the exit code. */
export type Runner = (work: (context: CommandContext) => Promise<void>) => Promise<void>;

/** Pairs of a command line (without `spanway`) and what it is for. */
export type Examples = readonly (readonly [line: string, what: string])[];

/** A command with its examples. */
export function describeCommand(name: string, summary: string, examples: Examples): Command {
  const command = new Command(name).description(summary);
  return command.addHelpText("after", exampleText(examples));
}

/** Examples as they stand under the help of a command. */
export function exampleText(examples: Examples): string {
  return `\nExamples:\n${examples.map(([line, what]) => `  # ${what}\n  $ spanway ${line}`).join("\n")}`;
}

/** The options that `share` and `up` have in common. */
export function addShareOptions(command: Command): Command {
  command
    .addOption(new Option("--name <name>", "share under this name instead of a random one").argParser(checkName))
    .addOption(
      new Option("--expires <time>", "how long to share: 90s, 30m, 2h30m")
        .argParser(expiry).default(SHARE_TTL_MS, formatDuration(SHARE_TTL_MS)),
    )
    .addOption(
      new Option(
        "--host-header <mode>",
        "what the target sees as Host: rewrite (its own), keep (the visitor's), or a value",
      )
        .argParser(hostHeader).default({ mode: "rewrite" }, "rewrite"),
    )
    .option("--insecure-target", "do not check the certificate of an https target", false)
    .option("--qr", "show the URL as a QR code too", false)
    .addOption(
      new Option(
        "--ports <list>",
        "ports that those who connect reach, TCP and UDP: 22,80,3000-3010; 53/udp or 22/tcp for one; or all, or none",
      )
        .argParser(parsePorts).default(ALL_PORTS, "all"),
    )
    .addOption(
      new Option(
        "--allow-host <rule>",
        "let them reach another host, too: HOST[:PORTS], *.example.com, 10.0.0.0/8; may be repeated",
      )
        .argParser(allowHost).default([], "none"),
    )
    .option("--disable-http", "show visitors of the URL nothing; connecting goes on", false)
    .addOption(
      new Option("--resume-window <time>", "how long connections outlive the loss of their path")
        .argParser(resumeWindow).default(LINK_RESUME_WINDOW_MS, formatDuration(LINK_RESUME_WINDOW_MS)),
    )
    .addOption(
      new Option("--jurisdiction <where>", "keep the share in one jurisdiction, on a service that can")
        .choices(JURISDICTIONS),
    );
  return addSshOptions(command);
}

/**
 * The options of {@link addShareOptions} as they were read, with the command's argument.
 * @throws {UsageError} when they leave nothing to share
 */
export function shareOptions<Raw extends RawShare>(
  raw: Raw,
  argument: string | undefined,
): Omit<Raw, RawOnly> & Pick<SharedTargetOptions, "target" | Undefinable | "reach" | "ssh"> {
  const { ports, allowHost, name, jurisdiction, disableHttp } = raw;
  const reach = { ports, allowHosts: allowHost };
  const ssh = sshOptions(raw);
  if (disableHttp && allowsNothing(reach) && ssh === undefined) {
    throw new UsageError(
      "With --disable-http and --ports none nothing is shared.",
      "Leave one of them out, or say which ports: --ports 22,5432.",
    );
  }
  return { ...raw, target: argument, name, jurisdiction, reach, ssh };
}

/** What commander makes of them. */
export interface RawShare extends Omit<SharedTargetOptions, "target" | Undefinable | "reach" | "ssh">, RawSsh {
  readonly name?: string;
  readonly jurisdiction?: Jurisdiction;
  readonly ports: PortSet;
  readonly allowHost: readonly HostRule[];
}

/** What need not be given, and has no default. */
type Undefinable = "name" | "jurisdiction";

type RawOnly = keyof RawSsh | Undefinable | "ports" | "allowHost";

/** The pair of options for HTTPS. */
export function addTlsOptions(command: Command): Command {
  return command
    .addOption(new Option("--tls-cert <file>", "certificate chain (PEM) for HTTPS").argParser(path))
    .addOption(new Option("--tls-key <file>", "its private key (PEM)").argParser(path));
}
