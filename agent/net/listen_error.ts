/** What the system says when an address cannot be listened on, in words for the person who chose it. */
import { ListenError, type ListenErrorCode } from "../errors.ts";
import type { ListenAddress } from "../cli/options.ts";
import { formatAddress } from "./address.ts";

const CODES: Readonly<Record<string, ListenErrorCode>> = {
  EADDRINUSE: "address-in-use",
  EACCES: "address-not-permitted",
  EPERM: "address-not-permitted",
  EADDRNOTAVAIL: "address-unavailable",
  // What node:net under Deno makes of it.
  EINVAL: "address-unavailable",
  EAFNOSUPPORT: "address-unavailable",
  ENOTFOUND: "address-unavailable",
  EAI_AGAIN: "address-unavailable",
};

/** `cause`, as the system threw it, for listening on `at`. */
export function listenError(cause: unknown, at: ListenAddress, kind: "TCP" | "UDP"): ListenError {
  const where = at.option === undefined ? "" : ` for ${at.option}`;
  const { code: system } = cause as { code?: unknown };
  const code = typeof system === "string" ? CODES[system] ?? "listen-failed" : "listen-failed";
  const place = `${kind} ${formatAddress(at)}`;
  switch (code) {
    case "address-in-use":
      return new ListenError(code, `Another program listens on ${place} already.`, {
        hint: `Choose another port${where}, or 0 for any free one.`,
        cause,
      });
    case "address-not-permitted":
      return new ListenError(code, `You are not allowed to listen on ${place}.`, {
        hint: at.port < 1024 ? `Choose a port from 1024 on${where}.` : `Choose another port${where}.`,
        cause,
      });
    case "address-unavailable":
      return new ListenError(code, `${at.host} is not an address of this machine.`, {
        hint: "Use 127.0.0.1, or 0.0.0.0 for every address of this machine.",
        cause,
      });
    case "listen-failed":
      return new ListenError(code, `Listening on ${place} failed${system === undefined ? "" : ` (${system})`}.`, {
        hint: "Try another address or port.",
        cause,
      });
  }
}
