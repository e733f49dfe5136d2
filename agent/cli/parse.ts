/** Reads the values of options. Each function throws a UsageError with one clear next step. */
import { resolve } from "node:path";
import { LINK_RESUME_WINDOW_MAX_MS, REACH_RULES_MAX, SHARE_TTL_MAX_MS, SHARE_TTL_MIN_MS } from "../../shared/limits.ts";
import { UsageError } from "../errors.ts";
import { type HostRule, parseHostRule } from "../reach/host_rule.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import type { HostHeader, ListenAddress } from "./options.ts";

/** The life of a share, in ms. */
export function expiry(text: string): number {
  const ms = duration(text);
  if (ms < SHARE_TTL_MIN_MS || ms > SHARE_TTL_MAX_MS) {
    const bounds = `between ${formatDuration(SHARE_TTL_MIN_MS)} and ${formatDuration(SHARE_TTL_MAX_MS)}`;
    throw new UsageError(`A share cannot last ${text}.`, `Choose a time ${bounds}.`);
  }
  return ms;
}

/** How long a connection without a path is kept, in ms. 0 for not at all. */
export function resumeWindow(text: string): number {
  const ms = text === "0" ? 0 : duration(text);
  if (ms > LINK_RESUME_WINDOW_MAX_MS) {
    throw new UsageError(
      `Connections cannot be kept for ${text}.`,
      `Choose a time up to ${formatDuration(LINK_RESUME_WINDOW_MAX_MS)}; 0 ends them as soon as their path is lost.`,
    );
  }
  return ms;
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) {
    throw new UsageError(`"${text}" is not a duration.`, "Give hours, minutes and seconds like 1h, 30m, 2h30m or 90s.");
  }
  return ms;
}

/** One more rule of --allow-host behind those before it. */
export function allowHost(text: string, before: readonly HostRule[]): readonly HostRule[] {
  if (before.length >= REACH_RULES_MAX) {
    throw new UsageError(
      `There are more than ${REACH_RULES_MAX} rules for hosts.`,
      "Allow a network (10.0.0.0/8) or a group of names (*.example.com) instead.",
    );
  }
  return [...before, parseHostRule(text)];
}

/** The origin of a service: an http(s) URL without path, query or credentials. */
export function serviceUrl(text: string): URL {
  const hint = "Give the address of a service like http://localhost:8080 or https://share.example.com.";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new UsageError(`"${text}" is not the URL of a service.`, hint);
  }
  if (url.username !== "" || url.password !== "") {
    throw new UsageError("The URL of a service has no user name or password in it.", hint);
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw new UsageError(`"${text}" has more than scheme, host and port.`, hint);
  }
  return url;
}

const HOST_LABELS = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;

/** HOST:PORT, [IPv6]:PORT, :PORT (all addresses) or PORT (this machine only). */
export function listenAddress(text: string): ListenAddress {
  const match = /^(?:(?:\[([0-9a-f:.]+)\]|([^:[\]]*)):)?(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  const hint = "Give HOST:PORT like 127.0.0.1:8080, or 0.0.0.0:8080 for every address of this machine.";
  if (match === null) throw new UsageError(`"${text}" is not an address to listen on.`, hint);
  if (port > 65535) {
    throw new UsageError(`${port} is not a port.`, "Ports go from 1 to 65535; 0 lets the system choose.");
  }
  const [, ipv6, name] = match;
  if (ipv6 !== undefined) {
    if (!URL.canParse(`http://[${ipv6}]`)) throw new UsageError(`"${ipv6}" is not an IPv6 address.`, hint);
    return { host: ipv6, port };
  }
  if (name === undefined) return { host: "127.0.0.1", port };
  if (name === "" || name === "*") return { host: "0.0.0.0", port };
  if (!HOST_LABELS.test(name)) throw new UsageError(`"${name}" is not a host.`, hint);
  return { host: name, port };
}

/** The domain under which shares appear, in lower case. */
export function domainName(text: string): string {
  if (!HOST_LABELS.test(text)) {
    throw new UsageError(`"${text}" is not a domain.`, "Give a domain name like share.example.com.");
  }
  return text.toLowerCase();
}

/** A region's name. */
export function regionName(text: string): string {
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(text)) {
    throw new UsageError(
      `"${text}" is not a name for a region.`,
      "Use up to 32 lower-case letters, digits and hyphens, like eu-west.",
    );
  }
  return text;
}

/** `rewrite`, `keep`, or what to send instead. */
export function hostHeader(text: string): HostHeader {
  if (text === "rewrite" || text === "keep") return { mode: text };
  // RFC 9110, 7.2: a host and optionally a port, nothing else.
  if (!/^(\[[0-9a-f:.]+\]|[a-z0-9._-]{1,253})(:\d{1,5})?$/i.test(text)) {
    throw new UsageError(`"${text}" is not a Host header.`, "Give rewrite, keep, or a host like app.test:3000.");
  }
  return { mode: "value", value: text };
}

/** A path of a file or directory, made absolute. */
export function path(text: string): string {
  if (text === "") throw new UsageError("A path is empty.", "Give the path of a file or directory.");
  return resolve(text);
}
