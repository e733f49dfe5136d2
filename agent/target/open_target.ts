import type { IncomingMessage, RequestListener } from "node:http";
import type { Duplex } from "node:stream";
import type { Buffer } from "node:buffer";
import type { RequestHandler } from "../../shared/http/response_stream.ts";
import type { HostHeader } from "../cli/options.ts";
import { chooseTarget, type ChosenServer, findServers, type FoundServer } from "./choose.ts";
import { startLocalOrigin } from "./local_origin.ts";
import { Origin } from "./origin.ts";
import { hostPort } from "./target.ts";

/** What a share leads to, ready to answer. */
export interface OpenTarget {
  readonly handle: RequestHandler;
  /** The same target gives the same key. */
  readonly key: string;
  /** The host that it is on, as typed; undefined for a folder of this machine. */
  readonly host: string | undefined;
  /** For people: an address or a folder. */
  readonly label: string;
  /** Web servers found on this machine, the shared one among them. */
  readonly found: readonly FoundServer[];
  /** False when nothing answers there yet. */
  readonly listening: boolean;
  close(): void;
}

export interface OpenTargetOptions {
  /** As typed; undefined looks for something to share. */
  readonly target: string | undefined;
  readonly hostHeader: HostHeader;
  /** Do not check the certificate of an https target. */
  readonly insecureTarget: boolean;
  /** Absolute paths that a shared folder never shows. */
  readonly excluded: readonly string[];
  /** Ports of this machine that are no targets. */
  readonly exceptPorts?: readonly number[];
  /** Nothing over HTTP: no target is needed, and none is asked. */
  readonly disableHttp?: boolean;
}

/**
 * Finds and opens what is to be shared.
 * @throws {UsageError | TargetError}
 */
export async function openTarget(options: OpenTargetOptions): Promise<OpenTarget> {
  if (options.disableHttp === true) {
    const { httpDisabledTarget } = await import("./http_disabled.ts");
    return await httpDisabledTarget(options.target);
  }
  const chosen = await chooseTarget(options.target, { exceptPorts: options.exceptPorts ?? [] });
  if (chosen.kind === "server") return await serverTarget(chosen, options);
  const { createFolderListener } = await import("./folder/folder.ts");
  const listener = createFolderListener(chosen.path, { excluded: options.excluded });
  return await listenerTarget({ listener, key: `folder:${chosen.path}`, label: chosen.path });
}

/** A server of spanway's own as a target. */
export async function listenerTarget(own: {
  readonly listener: RequestListener;
  readonly upgrade?: (req: IncomingMessage, socket: Duplex, early: Buffer) => void;
  readonly key: string;
  readonly label: string;
}): Promise<OpenTarget> {
  const local = await startLocalOrigin(own.listener, own.upgrade);
  const origin = new Origin({ protocol: "http:", host: "127.0.0.1", port: local.port }, {
    hostHeader: { mode: "keep" },
    headers: local.headers,
  });
  return {
    handle: origin.handle,
    key: own.key,
    host: undefined,
    label: own.label,
    found: [],
    listening: true,
    close() {
      origin.close();
      local.close();
    },
  };
}

async function serverTarget(chosen: ChosenServer, options: OpenTargetOptions): Promise<OpenTarget> {
  const origin = new Origin(chosen, { hostHeader: options.hostHeader, insecure: options.insecureTarget });
  const label = `${chosen.protocol}//${hostPort(chosen.host, chosen.port)}`;
  const others = options.target === undefined ? chosen.others : await findServers({
    exceptPorts: [chosen.port, ...(options.exceptPorts ?? [])],
  });
  return {
    handle: origin.handle,
    key: label,
    host: chosen.host,
    label,
    found: chosen.listening ? [chosen, ...others] : others,
    listening: chosen.listening,
    close: () => origin.close(),
  };
}
