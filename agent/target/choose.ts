/** From the words on the command line to what is shared, asking the servers on this machine where needed. */
import { COMMAND } from "../command_name.ts";
import { TargetError } from "../errors.ts";
import { probe, type ProbeOptions } from "./probe.ts";
import { type FolderTarget, hostPort, parseTarget } from "./target.ts";

/** Where development servers listen, the likeliest first. */
export const USUAL_PORTS: readonly number[] = [
  3000, // Node, Rails, Next.js
  5173, // Vite
  8000, // Django, Python
  8080, // Java, webpack
  4200, // Angular
  5000, // Flask, .NET
  8888, // Jupyter
  4321, // Astro
  1313, // Hugo
  3001,
  5174,
  8081,
  9000,
  5001,
  80,
  443,
  8443,
];

/** A web server that was found. */
export interface FoundServer {
  readonly protocol: "http:" | "https:";
  /** As it was asked for: the name for Host headers. */
  readonly host: string;
  readonly port: number;
  /** What to connect to: `host`, or the address of `localhost` that answered. */
  readonly address: string;
}

export interface ChosenServer extends FoundServer {
  readonly kind: "server";
  /** False when nothing answers there yet. */
  readonly listening: boolean;
  /** Other web servers on this machine, when they were looked for. */
  readonly others: readonly FoundServer[];
}

export type ChosenTarget = ChosenServer | FolderTarget;

export interface ChooseOptions extends ProbeOptions {
  readonly cwd?: string;
  /** Ports of this machine that are no targets, such as the service's own. */
  readonly exceptPorts?: readonly number[];
  readonly ports?: readonly number[];
}

/**
 * What to share. A given target that does not answer yet is taken all the same; without one, the usual ports of this
 * machine are tried and the first HTTP server is taken, or else the first HTTPS server.
 * @throws {UsageError | TargetError}
 */
export async function chooseTarget(text: string | undefined, options: ChooseOptions = {}): Promise<ChosenTarget> {
  if (text === undefined) return chooseFound(await findServers(options));
  const target = await parseTarget(text, options.cwd);
  if (target.kind === "folder") return target;
  const { host, port } = target;
  const found = await probe(host, port, options);
  if (found.kind === "other" && target.protocol === undefined) {
    throw new TargetError("target-unsupported", `${hostPort(host, port)} is no web server.`, {
      hint: `What listens there speaks neither HTTP nor HTTPS. To share it all the same, give http://${
        hostPort(host, port)
      }.`,
    });
  }
  return {
    kind: "server",
    protocol: target.protocol ?? (found.kind === "http" ? found.protocol : "http:"),
    host,
    port,
    address: found.kind === "nothing" ? host : found.address,
    listening: found.kind !== "nothing",
    others: [],
  };
}

/** The web servers on the usual ports of this machine, in the order of the ports. Never rejects. */
export async function findServers(options: ChooseOptions = {}): Promise<FoundServer[]> {
  const ports = (options.ports ?? USUAL_PORTS).filter((port) => !options.exceptPorts?.includes(port));
  const probes = await Promise.all(ports.map((port) => probe("localhost", port, options)));
  return ports.flatMap((port, index) => {
    const found = probes[index];
    if (found?.kind !== "http") return [];
    return [{ protocol: found.protocol, host: "localhost", port, address: found.address }];
  });
}

function chooseFound(servers: readonly FoundServer[]): ChosenServer {
  const chosen = servers.find(({ protocol }) => protocol === "http:") ?? servers[0];
  if (chosen === undefined) {
    throw new TargetError(
      "target-none",
      "No web server was found on the usual ports (3000, 5173, 8000, 8080 and so on).",
      {
        hint: `Start yours first, or say what to share: ${COMMAND} share PORT, or ${COMMAND} share ./FOLDER`,
      },
    );
  }
  return { kind: "server", ...chosen, listening: true, others: servers.filter((server) => server !== chosen) };
}
