/** What can be shared, as people write it on the command line. */
import { stat } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { resolve } from "node:path";
import process from "node:process";
import { TargetError, UsageError } from "../errors.ts";

/** A server that should be shared. */
export interface ServerTarget {
  readonly kind: "server";
  /** Undefined when only asking the server can tell. */
  readonly protocol: "http:" | "https:" | undefined;
  /** Name or IP address, IPv6 without brackets; `localhost` for a plain port. */
  readonly host: string;
  readonly port: number;
}

/** A folder that should be shared. */
export interface FolderTarget {
  readonly kind: "folder";
  /** Absolute path. */
  readonly path: string;
}

export type Target = ServerTarget | FolderTarget;

const FORMS = "Give a port (3000), a host and port (localhost:3000), an http(s) URL, or a folder (./dist).";

/**
 * Reads a target: port, `host:port`, `[ipv6]:port`, http(s) URL without a path, or an existing folder.
 * @throws {UsageError} when it is none of these
 * @throws {TargetError} `target-missing`, `target-unsupported`
 */
export async function parseTarget(text: string, cwd: string = process.cwd()): Promise<Target> {
  if (text === "") throw new UsageError("The target is empty.", FORMS);
  if (/^\d+$/.test(text)) return server(undefined, "localhost", text);
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return parseUrl(text);
  const pair = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+)):(\d+)$/i.exec(text);
  if (pair !== null) {
    const [, ipv6, name, port = ""] = pair;
    if (ipv6 !== undefined && !isIPv6(ipv6)) throw new UsageError(`"${ipv6}" is not an IPv6 address.`, FORMS);
    return server(undefined, ipv6 ?? name ?? "", port);
  }
  return await parseFolder(text, cwd);
}

/** A target in one spelling, by which the same target is known again. */
export function targetKey(target: Target): string {
  if (target.kind === "folder") return `folder:${target.path}`;
  return `${target.protocol ?? "http?:"}//${hostPort(target.host, target.port)}`;
}

/** `host:port`, with brackets where they are needed. */
export function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function server(protocol: ServerTarget["protocol"], host: string, portText: string): ServerTarget {
  const port = Number(portText);
  if (!(port >= 1 && port <= 65535)) {
    throw new UsageError(`${portText} is not a port.`, "Ports go from 1 to 65535.");
  }
  return { kind: "server", protocol, host: host.toLowerCase(), port };
}

function parseUrl(text: string): ServerTarget {
  if (!URL.canParse(text)) throw new UsageError(`"${text}" is not a valid URL.`, FORMS);
  const url = new URL(text);
  const { protocol } = url;
  if (protocol !== "http:" && protocol !== "https:") {
    throw new TargetError("target-unsupported", `${protocol}// cannot be shared.`, {
      hint: "Only http:// and https:// servers can. WebSockets work through them: give the http(s) URL.",
    });
  }
  if (url.username !== "" || url.password !== "") {
    throw new UsageError("A target has no user name or password in it.", `Share ${url.origin} instead.`);
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw new UsageError(
      "A share leads to a whole server, not to a path on it.",
      `Share ${url.origin} and open ${url.pathname}${url.search} below the share's URL.`,
    );
  }
  const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  return server(protocol, host, url.port || (protocol === "https:" ? "443" : "80"));
}

async function parseFolder(text: string, cwd: string): Promise<FolderTarget> {
  const path = resolve(cwd, text);
  const info = await stat(path).catch(() => undefined);
  if (info?.isDirectory()) return { kind: "folder", path };
  if (info !== undefined) {
    throw new TargetError("target-unsupported", `${text} is not a folder.`, {
      hint: "A single file cannot be shared: share the folder that it is in.",
    });
  }
  if (/[/\\]|^\.|^~/.test(text)) {
    throw new TargetError("target-missing", `There is no folder ${text}.`, { hint: `Looked for ${path}.` });
  }
  throw new UsageError(`"${text}" is not a target.`, FORMS);
}
