/** Reads the values of the options of `connect`. Each function throws a UsageError with one clear next step. */
import { ServiceError } from "../../shared/errors.ts";
import { FINGERPRINT_PATTERN } from "../../shared/identity.ts";
import { isHost } from "../../shared/link/lane_header.ts";
import { FORWARDS_MAX, SOCKS_AUTH_MAX_BYTES } from "../../shared/limits.ts";
import type { LinkTarget } from "../../shared/link/ends.ts";
import { SSH_TARGET } from "../../shared/ssh/messages.ts";
import { checkName } from "../../shared/names.ts";
import { UsageError } from "../errors.ts";
import { addressKind } from "../reach/address_kind.ts";
import { formatIp, parseIp } from "../reach/ip.ts";
import type { ConnectOptions, Forward, SocksAuth } from "./options.ts";
import { listenAddress } from "./parse.ts";

/** NAME, NAME#FINGERPRINT, or the share's URL at the service `relay`. */
export function shareCode(text: string, relay: URL): ConnectOptions["share"] {
  if (/^https?:\/\//i.test(text)) return shareUrl(text, relay);
  const hash = text.indexOf("#");
  if (hash < 0 && FINGERPRINT_PATTERN.test(text.toLowerCase())) {
    throw new UsageError(
      `"${text}" is a fingerprint without the name of its share.`,
      `Give the whole code that the owner sees: NAME#${text}`,
    );
  }
  if (hash < 0) return { name: shareName(text), fingerprint: undefined };
  return { name: shareName(text.slice(0, hash)), fingerprint: fingerprint(text.slice(hash + 1)) };
}

/** As `checkName`, for one who did not choose the name. */
function shareName(text: string): string {
  try {
    return checkName(text);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    throw new ServiceError("name-invalid", error.message, {
      hint: "Check the name: it is what the share's URL begins with, and the owner sees it in the line Connect.",
    });
  }
}

function shareUrl(text: string, relay: URL): ConnectOptions["share"] {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const [name = "", ...rest] = url?.host.split(".") ?? [];
  if (url?.protocol !== relay.protocol || rest.join(".") !== relay.host) {
    throw new UsageError(
      `"${text}" is not the URL of a share at ${relay.origin}.`,
      "Give the name of the share, or the address of its service with --relay.",
    );
  }
  return { name: shareName(name), fingerprint: url.hash === "" ? undefined : fingerprint(url.hash.slice(1)) };
}

function fingerprint(text: string): string {
  const found = text.toLowerCase();
  if (!FINGERPRINT_PATTERN.test(found)) {
    throw new UsageError(
      `"${text}" is not a fingerprint.`,
      "Copy the whole code that the owner sees: NAME#FINGERPRINT, four groups of seven letters and digits.",
    );
  }
  return found;
}

const FORWARD_HINT = "Give [BIND:]PORT[:HOST]:RPORT[/udp], like 8080:80, 5433:db.internal:5432 or 5353:53/udp.";

/** One more -L behind those before it. */
export function forwards(text: string, before: readonly Forward[]): readonly Forward[] {
  if (before.length >= FORWARDS_MAX) {
    throw new UsageError(`There are more than ${FORWARDS_MAX} forwards.`, "Use SOCKS, or --map for all ports.");
  }
  return [...before, forward(text)];
}

/** `[BIND:]PORT[:HOST]:RPORT[/udp]`. A PORT of 0 is any free one. */
export function forward(text: string): Forward {
  const [, fields = "", protocol = "tcp"] = /^(.*?)(?:\/(tcp|udp))?$/i.exec(text) ?? [];
  const parts = fields.match(/\[[^\]]*\]|[^:[\]]+|(?<=^|:)(?=:)/g) ?? [];
  const whole = parts.join(":") === fields;
  if (whole && parts.length === 1 && /^\d+$/.test(fields)) {
    throw new UsageError(
      `-L ${text} says only one port.`,
      `Give the port here and the one there: -L ${text}:${text}.`,
    );
  }
  // PORT:HOST:RPORT and BIND:PORT:RPORT differ in where the number stands.
  const shape = parts.length === 3 && !isNumber(parts[0]) ? ["bind", "port", "rport"] : SHAPES[parts.length];
  if (!whole || shape === undefined) throw new UsageError(`"${text}" is not a forward.`, FORWARD_HINT);
  const field = (name: string) => parts[shape.indexOf(name)];
  const [bind, port, host, rport] = ["bind", "port", "host", "rport"].map(field);
  if (!isNumber(port) || !isNumber(rport)) throw new UsageError(`"${text}" is not a forward.`, FORWARD_HINT);
  return {
    protocol: protocol.toLowerCase() === "udp" ? "udp" : "tcp",
    listen: listenAddress(bind === undefined ? port : `${bind}:${port}`),
    host: host === undefined ? "" : targetHost(host),
    port: targetPort(rport),
  };
}

const SHAPES: readonly (readonly string[] | undefined)[] = [
  undefined,
  undefined,
  ["port", "rport"],
  ["port", "host", "rport"],
  ["bind", "port", "host", "rport"],
];

/** `PORT` or `HOST:PORT`, seen from the share, or `ssh` for its SSH server, wherever that is. */
export function stdioTarget(text: string): LinkTarget {
  if (text === "ssh") return SSH_TARGET;
  const match = /^(?:(\[[^\]]*\]|[^:[\]]+):)?(\d{1,5})$/.exec(text);
  if (match === null) {
    throw new UsageError(
      `"${text}" is not a port of the share.`,
      "Give PORT or HOST:PORT, like 22 or db.internal:5432, or ssh.",
    );
  }
  return { host: match[1] === undefined ? "" : targetHost(match[1]), port: targetPort(match[2]!) };
}

/** An IPv4 address that a device of this machine may have, in its canonical form. */
export function staticIp(text: string): string {
  const ip = parseIp(text);
  if (ip?.family !== 4 || addressKind(ip) !== "ordinary") {
    throw new UsageError(
      `"${text}" is no address for a share.`,
      "Give an IPv4 address that nothing else here uses, like 172.16.0.20.",
    );
  }
  return formatIp(ip);
}

/** `USER:PASSWORD`. Nothing of it is repeated in an error. */
export function socksAuth(text: string): SocksAuth {
  const colon = text.indexOf(":");
  const [user, password] = [text.slice(0, Math.max(colon, 0)), text.slice(colon + 1)];
  const fits = (part: string) => {
    const { length } = new TextEncoder().encode(part);
    return length > 0 && length <= SOCKS_AUTH_MAX_BYTES;
  };
  if (!fits(user) || !fits(password)) {
    throw new UsageError(
      "That is no user name and password for SOCKS.",
      `Give USER:PASSWORD, each of 1 to ${SOCKS_AUTH_MAX_BYTES} bytes.`,
    );
  }
  return { user, password };
}

/** A name or an IP address, whose brackets go. What it may be, the share decides. */
function targetHost(text: string): string {
  const host = text.startsWith("[") ? text.slice(1, -1) : text;
  const impossible = host === "" || !isHost(host) || text.startsWith("[") && !URL.canParse(`http://${text}`);
  if (impossible) throw new UsageError(`"${text}" is not a host.`, "Give a name, an IPv4 address, or [IPv6].");
  return host;
}

function targetPort(text: string): number {
  const port = Number(text);
  if (port < 1 || port > 65535) {
    throw new UsageError(`${text} is not a port of the share.`, "Ports go from 1 to 65535.");
  }
  return port;
}

function isNumber(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,5}$/.test(text);
}
