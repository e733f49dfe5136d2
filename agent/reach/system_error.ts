/** What the system says about a connection that came to nothing, as the peer is told. */
import { LinkError, type LinkErrorCode } from "../../shared/errors.ts";

const CODES: Readonly<Record<string, LinkErrorCode>> = {
  ECONNREFUSED: "connection-refused",
  // Accepted and cut at once, as a full queue or a firewall does.
  ECONNRESET: "connection-refused",
  ECONNABORTED: "connection-refused",
  EHOSTUNREACH: "host-unreachable",
  EHOSTDOWN: "host-unreachable",
  // A firewall that says so.
  EACCES: "host-unreachable",
  EPERM: "host-unreachable",
  ENETUNREACH: "network-unreachable",
  ENETDOWN: "network-unreachable",
  // An address family or scope that this machine has no address for.
  EADDRNOTAVAIL: "network-unreachable",
  EAFNOSUPPORT: "network-unreachable",
  EINVAL: "network-unreachable",
  ETIMEDOUT: "timed-out",
  EMFILE: "too-many-streams",
  ENFILE: "too-many-streams",
  ENOBUFS: "too-many-streams",
  ENOMEM: "too-many-streams",
};

/** Of several addresses that failed, the one that said most about the port that was asked for counts. */
const RANK: readonly LinkErrorCode[] = [
  "connection-refused",
  "timed-out",
  "host-unreachable",
  "network-unreachable",
  "too-many-streams",
  "internal",
];

/** The code for a failed system call. */
export function linkCode(cause: unknown): LinkErrorCode {
  const { code } = (cause ?? {}) as { code?: unknown };
  return (typeof code === "string" ? CODES[code] : undefined) ?? "internal";
}

/** The error for a connection that failed on one address (`host:port`) after another. `causes` has one at least. */
export function connectError(place: string, causes: readonly unknown[]): LinkError {
  const rank = (cause: unknown) => RANK.indexOf(linkCode(cause));
  const cause = causes.toSorted((a, b) => rank(a) - rank(b))[0];
  const code = linkCode(cause);
  return new LinkError(code, message(code, place), { cause });
}

/** The error for a connection that did not stand in time. */
export function timeoutError(place: string): LinkError {
  return new LinkError("timed-out", message("timed-out", place));
}

function message(code: LinkErrorCode, place: string): string {
  switch (code) {
    case "connection-refused":
      return `Nothing listens on ${place}.`;
    case "timed-out":
      return `${place} does not answer.`;
    case "host-unreachable":
      return `The host of ${place} cannot be reached from the shared machine.`;
    case "network-unreachable":
      return `The shared machine has no way to the network of ${place}.`;
    case "too-many-streams":
      return `The shared machine has no room for another connection.`;
    default:
      return `The connection to ${place} failed.`;
  }
}
